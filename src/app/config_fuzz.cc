// Any bytes as tapeline.toml, secrets.env, environment and flags: they are refused, or every
// setting has a value and says where it is from, the nearest place winning. No error holds a
// secret.
//
// The input is four texts, divided by lines that hold "---".

#include <cstddef>
#include <cstdint>

#include "app/config.h"
#include "base/check.h"
#include "io/faulty_file_system.h"

namespace {

using namespace tapeline;

/// NAME=value lines.
std::map<std::string, std::string, std::less<>> pairs_of(std::string_view text) {
  std::map<std::string, std::string, std::less<>> pairs;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (const auto equals = line.find('='); equals != std::string_view::npos) {
      pairs.insert_or_assign(std::string(line.substr(0, equals)), line.substr(equals + 1));
    }
  }
  return pairs;
}

std::string_view take_part(std::string_view& text) {
  constexpr std::string_view kBorder = "\n---\n";
  const auto end = std::min(text.find(kBorder), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + kBorder.size(), text.size()));
  return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kSecret = "s3cr3t-of-the-fuzzer";
  std::string_view text(reinterpret_cast<const char*>(data), size);
  io::FaultyFileSystem files(1);
  TL_ASSERT(io::make_directories(files, "/folder"));
  const std::string_view toml = take_part(text);
  if (toml.find(kSecret) != std::string_view::npos) return 0;  // a name may be said
  TL_ASSERT(io::write_file_atomically(files, "/folder/tapeline.toml", toml));
  const std::string secrets =
      std::string(take_part(text)) + "\nFINNHUB_API_KEY=" + std::string(kSecret) + "\n";
  TL_ASSERT(io::write_file_atomically(files, "/folder/secrets.env", secrets));
  const app::Environment environment = pairs_of(take_part(text));
  const auto flags = pairs_of(text);

  const auto config = app::Config::load(files, "/folder", environment, flags);
  if (!config) {
    TL_ASSERT(!config.error().message.empty());
    TL_ASSERT((config.error().message + config.error().hint).find(kSecret) == std::string::npos);
    return 0;
  }
  for (const app::Setting& setting : app::settings()) {
    const auto& value = config->value(setting.key);
    TL_ASSERT(!value.origin.empty());
    const bool flagged = !setting.flag.empty() && flags.contains(setting.flag);
    if (flagged) TL_ASSERT(value.text == flags.find(setting.flag)->second);
    if (const auto set = environment.find(setting.variable);
        !flagged && !setting.variable.empty() && set != environment.end()) {
      TL_ASSERT(value.text == set->second);
    }
    if (value.origin == "default") TL_ASSERT(value.text == setting.fallback);
    static_cast<void>(config->integer(setting.key));
    static_cast<void>(config->real(setting.key));
    for (const std::string& item : config->list(setting.key)) TL_ASSERT(!item.empty());
  }
  return 0;
}
