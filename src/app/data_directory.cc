#include "app/data_directory.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/crc32c.h"
#include "base/time_text.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

constexpr std::size_t kSocketPathMax = 100;  // the kernel takes 107 bytes

}  // namespace

std::string default_directory(const Environment& environment, DirectoryKind kind) {
  std::string base;
  if (const auto xdg = environment.find("XDG_DATA_HOME");
      xdg != environment.end() && !xdg->second.empty()) {
    base = xdg->second;
  } else {
    const auto home = environment.find("HOME");
    base = (home == environment.end() ? "." : home->second) + "/.local/share";
  }
  return fmt::format("{}/tapeline/{}", base, to_string(kind));
}

Result<bool> DataDirectory::exists(io::FileSystem& files, const std::string& path) {
  return TRY(files.info(path + "/tapeline.json")).has_value();
}

Result<bool> DataDirectory::is_foreign(io::FileSystem& files, const std::string& path) {
  if (!TRY(files.info(path)) || TRY(exists(files, path))) return false;
  // Who was killed as it made the directory left a lock, and nothing else.
  return std::ranges::any_of(TRY(files.list(path)),
                             [](const io::FileInfo& file) { return file.name != "lock"; });
}

Result<DirectoryKind> DataDirectory::kind_of(io::FileSystem& files, const std::string& path) {
  const std::string bytes = TRY(io::read_file(files, path + "/tapeline.json"));
  const auto description = text::parse_json(bytes);
  const bool is_object = description && description->is_object();
  if (is_object && description->int_or("layout", 0) > kDataLayout) {
    return Error{ErrorCode::unsupported, fmt::format("'{}' was written by a newer tapeline", path),
                 "Start that one."};
  }
  if (is_object && description->int_or("layout", 0) > 0) {
    for (const auto kind : {DirectoryKind::market, DirectoryKind::simulated}) {
      if (description->string_or("kind", "") == to_string(kind)) return kind;
    }
  }
  return Error{ErrorCode::corrupt,
               fmt::format("'{}/tapeline.json' does not describe a data directory", path),
               "Restore it from a backup."};
}

Status DataDirectory::check_kind(io::FileSystem& files, const std::string& path,
                                 DirectoryKind wanted) {
  const DirectoryKind kind = TRY(kind_of(files, path));
  if (kind == wanted) return Ok{};
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' holds {} data, this needs {} data", path, to_string(kind),
                           to_string(wanted)),
               "Simulated and market data never share a directory: name another with --data-dir."};
}

Result<std::optional<Owner>> DataDirectory::owner(io::FileSystem& files, const std::string& path) {
  if (!TRY(exists(files, path))) return std::optional<Owner>();
  const auto lock = files.lock(path + "/lock");
  if (lock) return std::optional<Owner>();
  if (lock.error().code != ErrorCode::already_exists) return lock.error();
  Owner owner;
  const auto bytes = io::read_file(files, path + "/lock");
  const auto parsed = text::parse_json(bytes ? std::string_view(*bytes) : "");
  if (parsed && parsed->is_object()) {
    owner.pid = parsed->int_or("pid", 0);
    owner.address = parsed->string_or("address", "");
    owner.socket = parsed->string_or("socket", "");
  }
  return std::optional(owner);
}

Result<DataDirectory> DataDirectory::open(io::FileSystem& files, const Clock& clock,
                                          const std::string& path,
                                          std::optional<DirectoryKind> kind) {
  DataDirectory directory(files, path);
  const bool is_new = !TRY(exists(files, path));
  if (is_new) {
    if (TRY(is_foreign(files, path))) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("'{}' is no data directory, and it is not empty", path),
                   "Name another with --data-dir, or empty it."};
    }
    TRY_STATUS(io::make_directories(files, path));
  }
  auto lock = files.lock(path + "/lock");
  if (!lock) {
    if (lock.error().code != ErrorCode::already_exists) return lock.error();
    const auto by = TRY(owner(files, path));
    return Error{ErrorCode::already_exists,
                 fmt::format("another tapeline{} owns '{}'",
                             by && by->pid ? fmt::format(" (process {})", by->pid) : "", path),
                 "Stop it, or name another directory with --data-dir."};
  }
  directory.lock_ = std::move(*lock);
  if (is_new) {
    directory.kind_ = kind.value_or(DirectoryKind::market);
    text::Value description;
    description.set("layout", kDataLayout);
    description.set("kind", to_string(directory.kind_));
    description.set("calendar", directory.calendar());
    description.set("created", format_rfc3339(clock.now()));
    TRY_STATUS(io::write_file_atomically(files, directory.file("tapeline.json"),
                                         text::to_json(description, 2) + "\n"));
  } else {
    directory.kind_ = TRY(kind_of(files, path));
    if (kind) TRY_STATUS(check_kind(files, path, *kind));
  }
  TRY_STATUS(directory.announce(""));
  return directory;
}

Status DataDirectory::check_outside(const std::string& name) const {
  namespace fs = std::filesystem;
  std::error_code none;
  const std::string whole = fs::weakly_canonical(name, none).string();
  const std::string inside = fs::weakly_canonical(path_, none).string() + "/";
  bool is_ours = (whole + "/").starts_with(inside);
  for (const std::string_view own :
       {"stocks_fin.duckdb", "stocks_fin.duckdb.wal", "state.sqlite"}) {
    is_ours = is_ours || fs::equivalent(name, file(own), none);  // a link with another name
  }
  if (!is_ours) return Ok{};
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' lies in the data directory '{}'", name, path_),
               "Name a file outside of it."};
}

std::string DataDirectory::socket_path() const {
  std::string inside = file("tapeline.sock");
  if (inside.size() <= kSocketPathMax) return inside;
  return fmt::format("/tmp/tapeline-{}-{:08x}.sock", getuid(), crc32c(path_));
}

Status DataDirectory::announce(const std::string& address) {
  text::Value said;
  said.set("pid", std::int64_t{getpid()});
  said.set("address", address);
  said.set("socket", address.empty() ? "" : socket_path());
  // Written in place: replacing the file would leave the lock on one that has no name.
  auto lock_file = TRY(files_->open(file("lock"), io::OpenMode::write));
  TRY_STATUS(lock_file->truncate(0));
  return lock_file->write_at(0, text::to_json(said) + "\n");
}

Result<std::string> random_token() {
  std::array<unsigned char, 24> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return Error{ErrorCode::unavailable, "the kernel gave no random bytes for a token", ""};
  }
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Result<std::string> DataDirectory::token() {
  const std::string path = file("token");
  if (TRY(files_->info(path))) {
    std::string text = TRY(io::read_file(*files_, path));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (!text.empty()) return text;
  }
  const std::string text = TRY(random_token());
  TRY_STATUS(write_private_file(*files_, path, text + "\n"));
  return text;
}

Status write_private_file(io::FileSystem& files, const std::string& path, std::string_view bytes) {
  const mode_t before = umask(0077);
  Status written = io::write_file_atomically(files, path, bytes);
  umask(before);
  return written;
}

Result<std::string> choose_directory(io::FileSystem& files, const Environment& environment,
                                     const std::string& named, bool writes) {
  if (!named.empty()) return std::filesystem::absolute(named).lexically_normal().string();
  const std::string market = default_directory(environment, DirectoryKind::market);
  const std::string simulated = default_directory(environment, DirectoryKind::simulated);
  for (const std::string& path : {market, simulated}) {
    const auto owner = TRY(DataDirectory::owner(files, path));
    if (owner && !owner->socket.empty()) return path;
  }
  if (!writes && !TRY(DataDirectory::exists(files, market)) &&
      TRY(DataDirectory::exists(files, simulated))) {
    return simulated;
  }
  return market;
}

}  // namespace tapeline::app
