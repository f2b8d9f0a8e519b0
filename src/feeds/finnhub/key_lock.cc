#include "feeds/finnhub/key_lock.h"

#include "base/replaced.h"
#include "io/digest.h"
#include "io/http_message.h"

namespace tapeline::feeds::finnhub {
namespace {

constexpr std::string_view kOpen = "open\n";
constexpr std::string_view kClosed = "closed\n";

}  // namespace

std::string key_id(const std::string& key) {
  return io::sha256_hex("tapeline " + key).substr(0, 16);
}

Result<std::unique_ptr<KeyLock>> KeyLock::take(io::FileSystem& files, const std::string& folder,
                                               const std::string& key) {
  TRY_STATUS(io::make_directories(files, folder));
  const std::string path = folder + "/finnhub-" + key_id(key);
  auto lock = TRY(files.lock(path));
  auto file = TRY(files.open(path, io::OpenMode::write));
  const std::string said = TRY(io::read_file(files, path));
  auto taken = std::unique_ptr<KeyLock>(new KeyLock(std::move(file), std::move(lock)));
  taken->was_left_open_ = said == kOpen;
  TRY_STATUS(taken->file_->truncate(0));
  TRY_STATUS(taken->file_->write_at(0, kOpen));
  return taken;
}

KeyLock::~KeyLock() {
  if (file_->truncate(0)) (void)file_->write_at(0, kClosed);
}

std::string redacted(std::string text, const std::string& key) {
  if (key.empty()) return text;
  return replaced(replaced(text, key, "***"), io::percent_encode(key), "***");
}

}  // namespace tapeline::feeds::finnhub
