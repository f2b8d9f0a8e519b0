#include "feeds/input_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "io/find_files.h"

namespace tapeline::feeds {
namespace {

constexpr std::string_view kWantedNames = "*.csv, *.csv.gz, *.txt, *.txt.gz, *.parquet and *.zip";
constexpr std::array<std::string_view, 4> kTextEndings = {".csv", ".csv.gz", ".txt", ".txt.gz"};

bool ends_with_one_of(std::string_view name, std::span<const std::string_view> endings) {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::ranges::any_of(endings, [&](std::string_view end) { return lower.ends_with(end); });
}

bool is_wanted(std::string_view name) {
  constexpr std::array<std::string_view, 2> kOthers = {".parquet", ".zip"};
  return ends_with_one_of(name, kTextEndings) || ends_with_one_of(name, kOthers);
}

/// Adds the files of rows that an archive holds, by name.
Status add_members(const InputFile& archive_file, std::shared_ptr<const io::File> file,
                   InputFiles& into) {
  const auto archive = std::make_shared<const io::ZipArchive>(
      TRY(io::ZipArchive::open(std::move(file), archive_file.path)));
  std::vector<io::ZipMember> members = archive->members();
  std::ranges::sort(members, {}, &io::ZipMember::name);
  std::size_t passed_over = 0;
  const std::size_t before = into.files.size();
  for (io::ZipMember& member : members) {
    const std::string file_name = member.name.substr(member.name.rfind('/') + 1);
    if (file_name.starts_with('.') || !ends_with_one_of(file_name, kTextEndings)) {
      ++passed_over;
      continue;
    }
    InputFile& input = into.files.emplace_back(archive_file);
    input.format = InputFile::Format::member;
    input.archive = archive;
    input.size_bytes = member.packed_bytes;
    input.member = std::move(member);
  }
  if (into.files.size() == before) {
    return Error{ErrorCode::not_found, fmt::format("'{}' holds no file of rows", archive_file.path),
                 "Of a zip archive are read: *.csv, *.csv.gz, *.txt and *.txt.gz."};
  }
  if (passed_over > 0) {
    into.notes.push_back(fmt::format("'{}' holds {} other files; they were passed over",
                                     archive_file.path, passed_over));
  }
  return Ok{};
}

}  // namespace

std::string InputFile::name() const {
  return format == Format::member ? path + "/" + member.name : path;
}

Result<InputFiles> list_input_files(io::FileSystem& files, const std::vector<std::string>& names,
                                    const std::function<Status(const std::string&)>& may_open) {
  InputFiles listed;
  for (const std::string& name : names) {
    for (const std::string& path : TRY(io::find_files(files, name, is_wanted, kWantedNames))) {
      TRY_STATUS(may_open(path));
      const auto info = TRY(files.info(path));
      InputFile input{std::filesystem::path(path)};
      input.size_bytes = info ? info->size_bytes : 0;
      input.modified_at = info ? info->modified_at : Timestamp{};
      std::shared_ptr<const io::File> file = TRY(files.open(path, io::OpenMode::read));
      std::string first_bytes(4, '\0');
      first_bytes.resize(static_cast<std::size_t>(TRY(file->read_at(0, first_bytes))));
      if (io::looks_like_zip(first_bytes)) {
        TRY_STATUS(add_members(input, std::move(file), listed));
        continue;
      }
      if (first_bytes == "PAR1") input.format = InputFile::Format::parquet;
      listed.files.push_back(std::move(input));
    }
  }
  return listed;
}

}  // namespace tapeline::feeds
