#include "io/faulty_file_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tapeline::io {
namespace {

/// As parent_of, but nothing for what lies at the root: no directory of that name is kept.
std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

Error no_such(const std::string& path) {
  return Error{ErrorCode::not_found, fmt::format("there is no '{}'", path), ""};
}

Error disk_full(const std::string& path) {
  return Error{ErrorCode::unavailable, fmt::format("writing '{}': no space left on device", path),
               "Free some space on this disk; tapeline goes on by itself."};
}

template <typename Names>
void take_over(const Names& change, Names& names) {
  for (const auto& [path, node] : change) {
    if (node)
      names[path] = node;
    else
      names.erase(path);
  }
}

}  // namespace

class FaultyFile final : public File {
 public:
  using State = FaultyFileSystem::State;
  using Node = FaultyFileSystem::Node;

  FaultyFile(std::shared_ptr<State> state, std::shared_ptr<Node> node, std::string path)
      : state_(std::move(state)),
        node_(std::move(node)),
        path_(std::move(path)),
        start_(state_->starts) {}

  Result<std::int64_t> read_at(std::int64_t position, std::span<char> into) const override {
    const std::lock_guard lock(state_->mutex);
    TRY_STATUS(still_open());
    const auto& seen = node_->seen;
    const auto from = std::min(static_cast<std::size_t>(position), seen.size());
    return static_cast<std::int64_t>(seen.copy(into.data(), into.size(), from));
  }

  Status write_at(std::int64_t position, std::string_view bytes) override {
    state_->tell();
    const std::lock_guard lock(state_->mutex);
    TRY_STATUS(still_open());
    const auto begin = static_cast<std::size_t>(position);
    const auto room = static_cast<std::size_t>(
        std::max<std::int64_t>(state_->space_bytes - state_->used_bytes(), 0));
    const auto size_max = node_->seen.size() + room;
    const auto end = std::min(begin + bytes.size(), size_max);
    if (end > begin) {
      if (end > node_->seen.size()) node_->seen.resize(end, '\0');
      node_->seen.replace(begin, end - begin, bytes.substr(0, end - begin));
      node_->dirty.push_back({begin, end});
    }
    if (begin + bytes.size() > size_max) return disk_full(path_);
    return Ok{};
  }

  Status sync_data() override {
    state_->tell();
    const std::lock_guard lock(state_->mutex);
    TRY_STATUS(still_open());
    if (state_->syncs_to_fail > 0) {
      --state_->syncs_to_fail;
      node_->dirty.clear();  // the kernel takes the pages for clean: nobody will write them
      return Error{ErrorCode::unavailable, fmt::format("syncing '{}': input/output error", path_),
                   "Look for disk errors in the kernel's log."};
    }
    node_->durable.resize(node_->seen.size(), '\0');
    for (const auto& range : node_->dirty) {
      const auto end = std::min(range.end, node_->seen.size());
      if (range.begin < end)
        node_->durable.replace(range.begin, end - range.begin, node_->seen, range.begin,
                               end - range.begin);
    }
    node_->dirty.clear();
    ++state_->syncs;
    return Ok{};
  }

  Status truncate(std::int64_t size_bytes) override { return resize(size_bytes); }

  Status preallocate(std::int64_t size_bytes) override {
    const auto size = TRY(this->size_bytes());
    return size_bytes > size ? resize(size_bytes) : Status(Ok{});
  }

  Result<std::int64_t> size_bytes() const override {
    const std::lock_guard lock(state_->mutex);
    TRY_STATUS(still_open());
    return static_cast<std::int64_t>(node_->seen.size());
  }

 private:
  Status still_open() const {
    TRY_STATUS(state_->check_up());
    if (state_->starts == start_) return Ok{};
    return Error{ErrorCode::unavailable, "this file was opened before a crash", ""};
  }

  Status resize(std::int64_t size_bytes) {
    state_->tell();
    const std::lock_guard lock(state_->mutex);
    TRY_STATUS(still_open());
    const auto before = node_->seen.size();
    const auto after = static_cast<std::size_t>(size_bytes);
    if (after > before &&
        static_cast<std::int64_t>(after - before) + state_->used_bytes() > state_->space_bytes)
      return disk_full(path_);
    node_->seen.resize(after, '\0');
    node_->dirty.push_back({std::min(before, after), std::max(before, after)});
    return Ok{};
  }

  const std::shared_ptr<State> state_;
  const std::shared_ptr<Node> node_;
  const std::string path_;
  const std::uint64_t start_;  // the start that opened it
};

class FaultyLock final : public FileLock {
 public:
  FaultyLock(std::shared_ptr<FaultyFileSystem::State> state,
             std::shared_ptr<FaultyFileSystem::Node> node)
      : state_(std::move(state)), node_(std::move(node)) {}
  ~FaultyLock() override {
    const std::lock_guard lock(state_->mutex);
    node_->locked = false;
  }

 private:
  const std::shared_ptr<FaultyFileSystem::State> state_;
  const std::shared_ptr<FaultyFileSystem::Node> node_;
};

Status FaultyFileSystem::State::check_up() const {
  if (!is_down) return Ok{};
  return Error{ErrorCode::unavailable, "the program was killed", ""};
}

std::int64_t FaultyFileSystem::State::used_bytes() const {
  std::int64_t used = 0;
  for (const auto& [path, node] : names) used += static_cast<std::int64_t>(node->seen.size());
  return used;
}

void FaultyFileSystem::State::change(const std::string& path, Names changed) {
  take_over(changed, names);
  unsynced.push_back({folder_of(path), std::move(changed)});
}

/// What is in a directory goes with it: at once for readers, with the directory's own name on the
/// disk. Names in it that are not synced yet stay so, under the new path.
void FaultyFileSystem::State::move_what_is_below(const std::string& from, const std::string& to,
                                                 Names& change) {
  const auto is_below = [&](const std::string& path) { return path.starts_with(from + "/"); };
  const auto moved = [&](const std::string& path) { return to + path.substr(from.size()); };
  const auto add_moved = [&](const Names& all, Names& changed) {
    for (const auto& [path, node] : all) {
      if (!is_below(path)) continue;
      changed[path] = nullptr;
      changed[moved(path)] = node;
    }
  };
  Names seen;
  add_moved(names, seen);
  take_over(seen, names);
  add_moved(durable_names, change);
  for (auto& later : unsynced) {
    if (later.directory != from && !is_below(later.directory)) continue;
    later.directory = moved(later.directory);
    Names under;
    for (const auto& [path, node] : later.names) under[moved(path)] = node;
    later.names = std::move(under);
  }
}

/// Back to what was synced, and then some: each unsynced write may be lost, kept, cut short,
/// zeroed or have a bit flipped. Bytes outside of them stay as they were synced.
void FaultyFileSystem::State::crash_node(Node& node) {
  if (node.dirty.empty()) {
    node.seen = node.durable;
    return;
  }
  std::string left = node.durable;
  const bool keep_size = rng.below(2) == 0;
  if (keep_size) left.resize(node.seen.size(), '\0');
  const auto habit = rng.below(6);  // one habit a file, or each write its own
  for (const auto& range : node.dirty) {
    const auto fate = habit == 5 ? rng.below(5) : habit;
    auto end = std::min(range.end, node.seen.size());
    if (range.begin >= end || fate == 0) continue;
    if (fate == 2) end = range.begin + rng.below(end - range.begin + 1);
    if (end > left.size()) left.resize(end, '\0');
    if (fate == 3) {
      std::fill(left.begin() + static_cast<std::ptrdiff_t>(range.begin),
                left.begin() + static_cast<std::ptrdiff_t>(end), '\0');
      continue;
    }
    left.replace(range.begin, end - range.begin, node.seen, range.begin, end - range.begin);
    if (fate == 4) {
      auto& flipped = left[range.begin + rng.below(end - range.begin)];
      flipped = static_cast<char>(flipped ^ (1 << rng.below(8)));
    }
  }
  node.seen = node.durable = std::move(left);
  node.dirty.clear();
}

void FaultyFileSystem::State::crash() {
  std::map<std::string, bool> ended;  // directories whose later changes are lost
  for (const auto& change : unsynced) {
    bool& over = ended[change.directory];
    over = over || rng.below(3) == 0;
    if (!over) take_over(change.names, durable_names);
  }
  unsynced.clear();
  for (auto entry = durable_names.begin(); entry != durable_names.end();) {
    const auto parent = folder_of(entry->first);
    const bool orphan = !parent.empty() && !durable_names.contains(parent);
    entry = orphan ? durable_names.erase(entry) : std::next(entry);
  }
  names = durable_names;
  for (auto& [path, node] : names) crash_node(*node);
}

void FaultyFileSystem::kill() {
  const std::lock_guard lock(state_->mutex);
  state_->is_down = true;
}

void FaultyFileSystem::start_again(bool machine_went_down) {
  const std::lock_guard lock(state_->mutex);
  state_->is_down = false;
  ++state_->starts;
  if (machine_went_down) state_->crash();
  for (auto& [path, node] : state_->names) node->locked = false;
}

void FaultyFileSystem::set_space_bytes(std::int64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->space_bytes = bytes;
}

void FaultyFileSystem::fail_syncs(int count) {
  const std::lock_guard lock(state_->mutex);
  state_->syncs_to_fail = count;
}

void FaultyFileSystem::damage(const std::string& path, std::int64_t position, char flipped_bits) {
  const std::lock_guard lock(state_->mutex);
  auto& node = *state_->names.at(path);
  const auto at = static_cast<std::size_t>(position);
  node.seen.at(at) = static_cast<char>(node.seen.at(at) ^ flipped_bits);
  if (at < node.durable.size()) node.durable[at] = node.seen[at];
}

std::int64_t FaultyFileSystem::syncs() const {
  const std::lock_guard lock(state_->mutex);
  return state_->syncs;
}

std::int64_t FaultyFileSystem::used_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->used_bytes();
}

void FaultyFileSystem::before_change(std::function<void()> hook) {
  state_->before_change = std::move(hook);
}

Result<std::unique_ptr<File>> FaultyFileSystem::open(const std::string& path, OpenMode mode) {
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  const auto found = state_->names.find(path);
  if (found != state_->names.end())
    return std::unique_ptr<File>(std::make_unique<FaultyFile>(state_, found->second, path));
  const auto parent = folder_of(path);
  if (mode == OpenMode::read || (!parent.empty() && !state_->names.contains(parent)))
    return no_such(path);
  const auto node = std::make_shared<Node>();
  state_->change(path, {{path, node}});
  return std::unique_ptr<File>(std::make_unique<FaultyFile>(state_, node, path));
}

Status FaultyFileSystem::sync_directory(const std::string& path) {
  state_->tell();
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  std::erase_if(state_->unsynced, [&](const Change& change) {
    if (change.directory != (path == "/" ? "" : path)) return false;
    take_over(change.names, state_->durable_names);
    return true;
  });
  return Ok{};
}

Status FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  state_->tell();
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  const auto found = state_->names.find(from);
  if (found == state_->names.end()) return no_such(from);
  Names changed{{to, found->second}, {from, nullptr}};
  if (found->second->is_directory) state_->move_what_is_below(from, to, changed);
  state_->change(to, std::move(changed));
  return Ok{};
}

Status FaultyFileSystem::remove(const std::string& path) {
  state_->tell();
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  const auto found = state_->names.find(path);
  if (found == state_->names.end()) return no_such(path);
  const auto below = state_->names.lower_bound(path + "/");
  if (below != state_->names.end() && below->first.starts_with(path + "/"))
    return Error{ErrorCode::unavailable, fmt::format("'{}' is not empty", path), ""};
  state_->change(path, {{path, nullptr}});
  return Ok{};
}

Result<std::vector<FileInfo>> FaultyFileSystem::list(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  if (!state_->names.contains(path)) return no_such(path);
  std::vector<FileInfo> found;
  for (const auto& [name, node] : state_->names)
    if (folder_of(name) == path)
      found.push_back({name.substr(path.size() + 1), node->is_directory,
                       static_cast<std::int64_t>(node->seen.size())});
  return found;
}

Result<std::optional<FileInfo>> FaultyFileSystem::info(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  const auto found = state_->names.find(path);
  if (found == state_->names.end()) return std::optional<FileInfo>();
  return std::optional<FileInfo>(FileInfo{path.substr(path.rfind('/') + 1),
                                          found->second->is_directory,
                                          static_cast<std::int64_t>(found->second->seen.size())});
}

Status FaultyFileSystem::make_directory(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  if (state_->names.contains(path)) return Ok{};
  const auto parent = folder_of(path);
  if (!parent.empty() && !state_->names.contains(parent)) return no_such(path);
  const auto node = std::make_shared<Node>();
  node->is_directory = true;
  state_->change(path, {{path, node}});
  return Ok{};
}

Status FaultyFileSystem::make_private(const std::string& path) {
  return TRY(info(path)) ? Status(Ok{}) : Status(no_such(path));
}

Result<std::int64_t> FaultyFileSystem::free_bytes(const std::string&) {
  const std::lock_guard lock(state_->mutex);
  TRY_STATUS(state_->check_up());
  return state_->space_bytes - state_->used_bytes();
}

Result<std::unique_ptr<FileLock>> FaultyFileSystem::lock(const std::string& path) {
  TRY(open(path, OpenMode::write));
  const std::lock_guard lock(state_->mutex);
  const auto& node = state_->names.at(path);
  if (node->locked)
    return Error{ErrorCode::already_exists, fmt::format("'{}' is locked by another process", path),
                 ""};
  node->locked = true;
  return std::unique_ptr<FileLock>(std::make_unique<FaultyLock>(state_, node));
}

}  // namespace tapeline::io
