// Configuration: flag > environment > secrets.env > tapeline.toml > default, each value with
// the place that it came from.

#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file_system.h"

namespace tapeline::app {

/// One setting: its key in tapeline.toml, its variable, its flag.
struct Setting {
  std::string_view key;       // "simulator.rate"
  std::string_view variable;  // "" where there is none
  std::string_view flag;      // ""
  std::string_view fallback;
  std::string_view help;
  bool secret = false;
};

std::span<const Setting> settings();

using Environment = std::map<std::string, std::string, std::less<>>;

/// The process's own environment, read once by main.
Environment read_environment();

/// Where the user's own tapeline.toml and secrets.env are: $XDG_CONFIG_HOME/tapeline.
std::string user_folder(const Environment& environment);

class Config {
 public:
  /// Reads secrets.env and tapeline.toml of `folder`, and where those are missing, of the
  /// user's configuration folder.
  /// errors: invalid_argument: a file that is no TOML, a key or a value that nobody knows, a
  ///         secrets.env that others may read
  static Result<Config> load(io::FileSystem& files, const std::string& folder,
                             const Environment& environment,
                             const std::map<std::string, std::string, std::less<>>& flags);

  struct Value {
    std::string text;
    std::string origin;  // "default", "flag --rate", "environment STOCKS", "tapeline.toml", …
  };

  const Value& value(std::string_view key) const;
  const std::string& text(std::string_view key) const { return value(key).text; }

  /// errors: invalid_argument, naming the setting and its origin
  Result<std::int64_t> integer(std::string_view key) const;
  Result<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most) const;
  Result<double> real(std::string_view key) const;

  /// A comma-separated list; empty entries are left out.
  std::vector<std::string> list(std::string_view key) const;

  /// librdkafka's own settings, by its names: what stands under [log.kafka], and in variables
  /// like TAPELINE_KAFKA_SASL_PASSWORD.
  const std::map<std::string, Value, std::less<>>& kafka() const { return kafka_; }

 private:
  std::map<std::string, Value, std::less<>> values_;
  std::map<std::string, Value, std::less<>> kafka_;
};

}  // namespace tapeline::app
