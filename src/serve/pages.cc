#include "serve/pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/crc32c.h"

namespace tapeline::serve {
namespace {

const EmbeddedFile* find_file(const std::vector<EmbeddedFile>& files, std::string_view path) {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const EmbeddedFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

std::string_view content_type(std::string_view path) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".json", "application/json"},
      {".webmanifest", "application/manifest+json"},
      {".txt", "text/plain; charset=utf-8"},
      {".woff2", "font/woff2"},
      {".map", "application/json"},
  };
  for (const auto& [ending, type] : kTypes)
    if (path.ends_with(ending)) return type;
  return "application/octet-stream";
}

/// "app-5F3KQ2ZV.js": eight or more letters and digits between the last dash and the next dot.
bool has_hash(std::string_view path) {
  const std::size_t dash = path.rfind('-');
  if (dash == std::string_view::npos) return false;
  const std::string_view hash = path.substr(dash + 1, path.find('.', dash) - dash - 1);
  return hash.size() >= 8 && std::all_of(hash.begin(), hash.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0;
         });
}

bool takes_gzip(const io::HttpRequest& request) {
  const std::string* accepts = request.header("Accept-Encoding");
  if (!accepts) return false;
  const std::size_t at = accepts->find("gzip");
  return at != std::string::npos && accepts->compare(at, 8, "gzip;q=0") != 0;
}

}  // namespace

io::HttpResponse page_response(const std::vector<EmbeddedFile>& files,
                               const io::HttpRequest& request) {
  std::string path;
  for (const auto& segment : request.target.segments) path += (path.empty() ? "" : "/") + segment;
  if (path.empty()) path = "index.html";
  const EmbeddedFile* file = find_file(files, path);
  const EmbeddedFile* packed = find_file(files, path + ".gz");
  const bool gzip = packed && (takes_gzip(request) || !file);
  if (gzip) file = packed;
  if (!file) {
    if (path == "index.html")
      return io::http_error(404, "not_found", "this build has no dashboard in it",
                            "The API is under /api/v1; build web/ to have the page.");
    return io::http_error(404, "not_found", "there is nothing at this address",
                          "The API is described at /openapi.json.");
  }
  const std::string etag = fmt::format("\"{:08x}-{:x}\"", crc32c(file->bytes), file->bytes.size());
  io::HttpHeaders headers = {
      {"Content-Type", std::string(content_type(path))},
      {"ETag", etag},
      {"Vary", "Accept-Encoding"},
      {"Cache-Control", has_hash(path) ? "public, max-age=31536000, immutable" : "no-cache"}};
  if (gzip) headers.emplace_back("Content-Encoding", "gzip");
  const std::string* known = request.header("If-None-Match");
  if (known && known->find(etag) != std::string::npos) return {304, std::move(headers), ""};
  return {200, std::move(headers), std::string(file->bytes)};
}

}  // namespace tapeline::serve
