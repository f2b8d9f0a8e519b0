#include "app/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/time_text.h"
#include "io/digest.h"
#include "text/value.h"

namespace tapeline::app {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::string_view kManifest = "backup.json";
constexpr std::string_view kWarehouse = "stocks_fin.duckdb";
constexpr std::string_view kState = "state.sqlite";
constexpr std::string_view kDescription = "tapeline.json";
constexpr std::size_t kPieceBytes = 1 << 20;

Error stopped() { return Error{ErrorCode::cancelled, "stopped before it was done", ""}; }

/// How much of a file was copied, and the digest of that.
struct Copied {
  io::Sha256 digest;
  std::int64_t size_bytes = 0;
};

/// Reads a file from where `so_far` ends up to `size_bytes`, or its end, and writes it to `to`,
/// where that is given.
Status copy_on(const io::File& from, io::File* to, std::int64_t size_bytes, Copied& so_far,
               const std::stop_token& stop) {
  std::string piece(kPieceBytes, '\0');
  while (so_far.size_bytes < size_bytes) {
    if (stop.stop_requested()) return stopped();
    const auto left = static_cast<std::size_t>(size_bytes - so_far.size_bytes);
    const auto got =
        TRY(from.read_at(so_far.size_bytes, std::span(piece).first(std::min(left, piece.size()))));
    if (got == 0) break;
    const auto bytes = std::string_view(piece).substr(0, static_cast<std::size_t>(got));
    if (to) TRY_STATUS(to->write_at(so_far.size_bytes, bytes));
    so_far.digest.add(bytes);
    so_far.size_bytes += got;
  }
  return Ok{};
}

/// Makes the names below a folder durable, its own last.
Status sync_names(io::FileSystem& files, const std::string& folder) {
  for (const auto& entry : TRY(files.list(folder))) {
    if (entry.is_directory) TRY_STATUS(sync_names(files, folder + "/" + entry.name));
  }
  return files.sync_directory(folder);
}

std::string to_json(const BackupManifest& manifest) {
  text::Value value;
  value.set("format", kFormat);
  value.set("created", manifest.created);
  value.set("tapeline", manifest.version);
  value.set("layout", manifest.layout);
  value.set("kind", to_string(manifest.kind));
  value.set("load_id", manifest.load_id);
  text::List partitions;
  for (const auto& its : manifest.partitions) {
    text::Value item;
    item.set("topic", its.topic);
    item.set("topic_id", its.topic_id);
    item.set("partition", std::int64_t{its.partition});
    item.set("first_offset", its.first);
    item.set("end_offset", its.end);
    item.set("next_to_load", its.loaded);
    partitions.push_back(std::move(item));
  }
  value.set("partitions", text::Value(std::move(partitions)));
  text::List list;
  for (const auto& file : manifest.files) {
    text::Value item;
    item.set("path", file.path);
    item.set("bytes", file.size_bytes);
    item.set("sha256", file.sha256);
    list.push_back(std::move(item));
  }
  value.set("files", text::Value(std::move(list)));
  return text::to_json(value, 2) + "\n";
}

/// A backup in the making.
class Making {
 public:
  Making(Pipeline& pipeline, std::string to, const OnBackupProgress& progress, std::stop_token stop)
      : pipeline_(pipeline),
        files_(pipeline.files()),
        data_(to + "/data"),
        to_(std::move(to)),
        progress_(progress),
        stop_(std::move(stop)) {}

  Result<BackupManifest> make() {
    TRY_STATUS(files_.make_private(to_));
    TRY_STATUS(make_folder(data_));
    // Most of the log, before the rest: what comes meanwhile is little, and retention cannot take
    // what is copied already.
    TRY_STATUS(copy_log());
    TRY_STATUS(copy_state());
    TRY_STATUS(copy_warehouse());
    TRY_STATUS(copy_log());
    TRY_STATUS(check_log());
    TRY_STATUS(copy_file(std::string(kDescription), pipeline_.directory().file(kDescription)));
    return write_manifest();
  }

 private:
  std::string place(const std::string& path) const { return data_ + "/" + path; }

  Status make_folder(const std::string& path) {
    TRY_STATUS(io::make_directories(files_, path));
    return files_.make_private(path);
  }

  Status make_folders_of(const std::string& path) {
    for (auto slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const std::string folder = place(path.substr(0, slash));
      if (!TRY(files_.info(folder))) TRY_STATUS(make_folder(folder));
    }
    return Ok{};
  }

  Status copy_file(const std::string& path, const std::string& source) {
    const auto from = TRY(files_.open(source, io::OpenMode::read));
    const auto size = TRY(from->size_bytes());
    copied_.insert_or_assign(path, Copied());
    return copy_part(path, *from, size);
  }

  Status copy_part(const std::string& path, const io::File& from, std::int64_t size_bytes) {
    TRY_STATUS(make_folders_of(path));
    const auto to = TRY(files_.open(place(path), io::OpenMode::write));
    TRY_STATUS(files_.make_private(place(path)));
    Copied& so_far = copied_[path];
    TRY_STATUS(to->truncate(so_far.size_bytes));
    TRY_STATUS(copy_on(from, to.get(), size_bytes, so_far, stop_));
    return to->sync_data();
  }

  /// Copies what is new in the log since the last call.
  Status copy_log() {
    auto* const log = TRY(pipeline_.log_engine().embedded(
        "a backup",
        "Kafka keeps its topics safe by replicas, or by mirroring them to another cluster; "
        "`tapeline export` writes tables to files, and a new data directory loads the topic "
        "anew."));
    const auto now = TRY(log->files());
    std::int64_t done = 0;
    std::int64_t all = 0;
    for (const auto& file : now) all += file.size_bytes;
    for (const auto& file : now) {
      progress_("copying the topics",
                all ? static_cast<double>(done) / static_cast<double>(all) : 1);
      done += file.size_bytes;
      const std::string path = "log/" + file.path;
      // What is no segment is replaced as a whole where it changes. It is taken once, so that a
      // group's offset is not ahead of the warehouse.
      if (!file.records && copied_.contains(path)) continue;
      const auto from = files_.open(pipeline_.directory().file(path), io::OpenMode::read);
      if (!from && from.error().code == ErrorCode::not_found) continue;  // retention was here
      if (!from) return from.error();
      const auto size = file.records ? file.size_bytes : TRY((*from)->size_bytes());
      TRY_STATUS(copy_part(path, **from, size));
      if (!file.records) continue;
      segments_[{file.records->where, file.records->first}] = file.records->end;
    }
    return Ok{};
  }

  Status copy_state() {
    progress_("copying the state", -1);
    TRY_STATUS(pipeline_.state().copy_to(place(std::string(kState))));
    return take_in(std::string(kState));
  }

  Status copy_warehouse() {
    const auto look = [&](warehouse::Connection& connection) -> Status {
      const auto rows = TRY(connection.query(
          "select topic_id, topic_partition, max(next_offset) from raw_stocks.consumer_offsets "
          "group by all"));
      for (const auto& row : rows.rows) {
        loaded_[{std::get<std::string>(row[0]), std::get<std::int64_t>(row[1])}] =
            std::get<std::int64_t>(row[2]);
      }
      const auto sums = TRY(connection.query(
          "select coalesce(max(load_id), 0), (select coalesce(sum(estimated_size), 0)::bigint from "
          "duckdb_tables()) from raw_stocks.loads"));
      load_id_ = std::get<std::int64_t>(sums.rows.at(0)[0]);
      rows_ = std::get<std::int64_t>(sums.rows.at(0)[1]);
      return Ok{};
    };
    const auto on_copied = [&](std::int64_t rows) -> Status {
      if (stop_.stop_requested()) return stopped();
      progress_("copying the warehouse",
                rows_ ? std::min(1.0, static_cast<double>(rows) / static_cast<double>(rows_)) : -1);
      return Ok{};
    };
    const std::string to = place(std::string(kWarehouse));
    TRY_STATUS(pipeline_.warehouse().copy_to(to, look, on_copied));
    if (TRY(files_.info(to + ".wal"))) {
      return Error{ErrorCode::unavailable, fmt::format("'{}' was not closed whole", to), ""};
    }
    return take_in(std::string(kWarehouse));
  }

  /// Takes in a file that another library has written.
  Status take_in(const std::string& path) {
    TRY_STATUS(files_.make_private(place(path)));
    const auto file = TRY(files_.open(place(path), io::OpenMode::write));
    TRY_STATUS(file->sync_data());
    copied_.insert_or_assign(path, Copied());
    return copy_on(*file, nullptr, TRY(file->size_bytes()), copied_[path], stop_);
  }

  /// Whether the segments that were copied join: retention may have taken one that began and was
  /// dropped between the two passes.
  Status check_log() {
    const std::pair<const Segment, msglog::Offset>* before = nullptr;
    for (const auto& segment : segments_) {
      if (before && before->first.first == segment.first.first &&
          before->second != segment.first.second) {
        return Error{
            ErrorCode::unavailable,
            fmt::format("the log dropped offsets {} to {} of '{}' while it was copied",
                        before->second, segment.first.second - 1, segment.first.first.topic),
            "Its room (log.retention_bytes) was used up within the time of a backup: "
            "raise it, or try again when less comes in."};
      }
      before = &segment;
    }
    return Ok{};
  }

  Result<BackupManifest> write_manifest() {
    BackupManifest manifest{.created = format_rfc3339(pipeline_.clock().now()),
                            .version = TAPELINE_VERSION,
                            .layout = kDataLayout,
                            .kind = pipeline_.directory().kind(),
                            .load_id = load_id_};
    for (const auto& topic : TRY(pipeline_.log().topics())) {
      for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        const auto partition = static_cast<std::int32_t>(i);
        BackupPartition its{topic.name, topic.id, partition};
        bool is_first = true;
        for (const auto& [segment, end] : segments_) {
          if (segment.first != msglog::TopicPartition{topic.name, partition}) continue;
          if (std::exchange(is_first, false)) its.first = segment.second;
          its.end = end;
        }
        const auto loaded = loaded_.find({topic.id, partition});
        its.loaded = loaded == loaded_.end() ? its.first : loaded->second;
        manifest.partitions.push_back(std::move(its));
      }
    }
    for (const auto& [path, copied] : copied_) {
      manifest.files.push_back({path, copied.size_bytes, copied.digest.hex()});
    }
    TRY_STATUS(sync_names(files_, to_));
    TRY_STATUS(files_.sync_directory(io::parent_of(to_)));
    // From here on it is a backup.
    const std::string path = to_ + "/" + std::string(kManifest);
    TRY_STATUS(io::write_file_atomically(files_, path, to_json(manifest)));
    TRY_STATUS(files_.make_private(path));
    return manifest;
  }

  using Segment = std::pair<msglog::TopicPartition, msglog::Offset>;

  Pipeline& pipeline_;
  io::FileSystem& files_;
  const std::string data_;
  const std::string to_;
  const OnBackupProgress& progress_;
  const std::stop_token stop_;
  std::map<std::string, Copied> copied_;                                   // by path
  std::map<Segment, msglog::Offset> segments_;                             // and where each ends
  std::map<std::pair<std::string, std::int64_t>, msglog::Offset> loaded_;  // by id and partition
  std::int64_t load_id_ = 0;
  std::int64_t rows_ = 0;  // of the warehouse, about
};

/// Reads `backup.json`; what is missing or of another type reads as corrupt.
Result<BackupManifest> parse_manifest(const text::Value& value) {
  const auto* partitions = value.find("partitions");
  const auto* files = value.find("files");
  if (!partitions || !partitions->is_list() || !files || !files->is_list()) {
    return Error{ErrorCode::corrupt, "it does not list partitions and files", ""};
  }
  BackupManifest manifest{.created = value.string_or("created", ""),
                          .version = value.string_or("tapeline", ""),
                          .layout = value.int_or("layout", 0),
                          .kind = value.string_or("kind", "") == "simulated"
                                      ? DirectoryKind::simulated
                                      : DirectoryKind::market,
                          .load_id = value.int_or("load_id", 0)};
  for (const auto& item : partitions->as_list()) {
    manifest.partitions.push_back({item.string_or("topic", ""), item.string_or("topic_id", ""),
                                   static_cast<std::int32_t>(item.int_or("partition", 0)),
                                   item.int_or("first_offset", 0), item.int_or("end_offset", 0),
                                   item.int_or("next_to_load", 0)});
  }
  std::set<std::string> needed = {std::string(kWarehouse), std::string(kState),
                                  std::string(kDescription)};
  for (const auto& item : files->as_list()) {
    BackupFile file{item.string_or("path", ""), item.int_or("bytes", -1),
                    item.string_or("sha256", "")};
    // A manifest is written by us, but may come from anywhere: it leads nowhere else.
    if (file.path.empty() || file.path.front() == '/' ||
        ("/" + file.path + "/").find("/../") != std::string::npos || file.size_bytes < 0) {
      return Error{ErrorCode::corrupt, fmt::format("it lists a file '{}'", file.path), ""};
    }
    needed.erase(file.path);
    manifest.files.push_back(std::move(file));
  }
  if (!needed.empty()) {
    return Error{ErrorCode::corrupt, fmt::format("it does not list '{}'", *needed.begin()), ""};
  }
  return manifest;
}

Status copy_back(io::FileSystem& files, const BackupManifest& manifest, const std::string& from,
                 const std::string& to, const OnBackupProgress& progress,
                 const std::stop_token& stop) {
  const auto all = static_cast<double>(std::max<std::int64_t>(manifest.size_bytes(), 1));
  std::int64_t done = 0;
  for (const auto& file : manifest.files) {
    progress("copying " + file.path, static_cast<double>(done) / all);
    const std::string path = to + "/" + file.path;
    const auto source = files.open(from + "/data/" + file.path, io::OpenMode::read);
    Copied copied;
    if (source) {
      TRY_STATUS(io::make_directories(files, io::parent_of(path)));
      const auto target = TRY(files.open(path, io::OpenMode::write));
      TRY_STATUS(target->truncate(0));
      // One byte more than there should be, so that a file that grew is noticed.
      TRY_STATUS(copy_on(**source, target.get(), file.size_bytes + 1, copied, stop));
      TRY_STATUS(target->sync_data());
    } else if (source.error().code != ErrorCode::not_found) {
      return source.error();
    }
    if (!source || copied.size_bytes != file.size_bytes || copied.digest.hex() != file.sha256) {
      return Error{ErrorCode::corrupt,
                   fmt::format("'{}' of the backup {}", file.path,
                               !source ? "is missing"
                               : copied.size_bytes != file.size_bytes
                                   ? "has another size than when it was taken"
                                   : "has other bytes than when it was taken"),
                   "The backup is damaged: take another one."};
    }
    done += file.size_bytes;
  }
  return sync_names(files, to);
}

}  // namespace

std::int64_t BackupManifest::size_bytes() const {
  std::int64_t sum = 0;
  for (const auto& file : files) sum += file.size_bytes;
  return sum;
}

std::int64_t BackupManifest::waiting() const {
  std::int64_t sum = 0;
  for (const auto& its : partitions) {
    if (its.loaded >= its.first) sum += its.end - its.loaded;
  }
  return sum;
}

Result<BackupManifest> create_backup(Pipeline& pipeline, const std::string& to,
                                     const OnBackupProgress& progress, std::stop_token stop) {
  io::FileSystem& files = pipeline.files();
  TRY_STATUS(pipeline.directory().check_outside(to));
  if (const auto there = TRY(files.info(to))) {
    if (!there->is_directory || !TRY(files.list(to)).empty()) {
      return Error{ErrorCode::already_exists, fmt::format("'{}' is there and not empty", to),
                   "A backup goes into a new folder."};
    }
  }
  TRY_STATUS(io::make_directories(files, to));
  auto made = Making(pipeline, to, progress, std::move(stop)).make();
  if (!made) (void)io::remove_all(files, to);
  return made;
}

Result<BackupManifest> read_backup(io::FileSystem& files, const std::string& from) {
  const std::string path = from + "/" + std::string(kManifest);
  const auto bytes = io::read_file(files, path);
  if (!bytes && bytes.error().code == ErrorCode::not_found) {
    const auto unfinished = TRY(files.info(from + "/data"));
    return Error{ErrorCode::not_found, fmt::format("there is no backup at '{}'", from),
                 unfinished
                     ? "It has no backup.json, which is written last: that backup was interrupted. "
                       "Remove it."
                     : "Name the folder that `tapeline backup create` printed."};
  }
  if (!bytes) return bytes.error();
  const auto value = text::parse_json(*bytes);
  const auto what = fmt::format("reading '{}'", path);
  if (!value || !value->is_object()) {
    return Error{ErrorCode::corrupt, what + ": it is no JSON object", "The backup is damaged."};
  }
  if (value->int_or("format", 0) > kFormat || value->int_or("layout", 0) > kDataLayout) {
    return Error{ErrorCode::unsupported, fmt::format("'{}' was written by a newer tapeline", from),
                 "Use that one."};
  }
  auto manifest = parse_manifest(*value);
  if (!manifest) return std::move(manifest).error().while_doing(what);
  return manifest;
}

Status restore_backup(io::FileSystem& files, const BackupManifest& manifest,
                      const std::string& from, const std::string& to,
                      const OnBackupProgress& progress, std::stop_token stop) {
  if (const auto owner = TRY(DataDirectory::owner(files, to))) {
    return Error{ErrorCode::already_exists,
                 fmt::format("'{}' belongs to a running tapeline (process {})", to, owner->pid),
                 "Name another folder with --to."};
  }
  if (const auto there = TRY(files.info(to))) {
    if (!there->is_directory || !TRY(files.list(to)).empty()) {
      return Error{ErrorCode::already_exists, fmt::format("'{}' is there and not empty", to),
                   "A backup is restored into a new folder: move that one away, or name another "
                   "with --to."};
    }
  }
  // Made beside it and renamed, so that an interrupted restore is never taken for a directory.
  const std::string staging = to + ".restoring";
  TRY_STATUS(io::make_directories(files, staging));
  auto lock = files.lock(staging + "/lock");
  if (!lock) return std::move(lock).error().while_doing("another restore is going on");
  for (const auto& entry : TRY(files.list(staging))) {
    if (entry.name != "lock") TRY_STATUS(io::remove_all(files, staging + "/" + entry.name));
  }
  TRY_STATUS(files.make_private(staging));
  Status copied = copy_back(files, manifest, from, staging, progress, stop);
  if (copied) copied = files.rename(staging, to);
  if (!copied) {
    (void)io::remove_all(files, staging);
    return copied;
  }
  return files.sync_directory(io::parent_of(to));
}

}  // namespace tapeline::app
