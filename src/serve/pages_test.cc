#include "serve/pages.h"

#include <gtest/gtest.h>

namespace tapeline::serve {
namespace {

const std::vector<EmbeddedFile> kFiles = {{"index.html", "<p>"},
                                          {"assets/app-5F3KQ2ZV.js", "long"},
                                          {"assets/app-5F3KQ2ZV.js.gz", "packed"},
                                          {"assets/only-ABCDEFGH.css.gz", "packed css"}};

io::HttpResponse get(std::string_view target, io::HttpHeaders headers = {}) {
  io::HttpRequest request;
  request.method = "GET";
  request.target = *io::parse_target(target);
  request.headers = std::move(headers);
  return page_response(kFiles, request);
}

std::string header(const io::HttpResponse& response, std::string_view name) {
  const std::string* found = io::find_header(response.headers, name);
  return found ? *found : "";
}

TEST(Pages, the_root_is_the_index_and_is_asked_for_again_each_time) {
  const auto page = get("/");
  EXPECT_EQ(page.body, "<p>");
  EXPECT_EQ(header(page, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(header(page, "Cache-Control"), "no-cache");
  const auto again = get("/", {{"If-None-Match", header(page, "ETag")}});
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
}

TEST(Pages, a_hashed_asset_is_kept_for_ever_and_sent_packed_to_who_takes_it) {
  const auto plain = get("/assets/app-5F3KQ2ZV.js");
  EXPECT_EQ(plain.body, "long");
  EXPECT_NE(header(plain, "Cache-Control").find("immutable"), std::string::npos);
  const auto packed = get("/assets/app-5F3KQ2ZV.js", {{"Accept-Encoding", "br, gzip"}});
  EXPECT_EQ(packed.body, "packed");
  EXPECT_EQ(header(packed, "Content-Encoding"), "gzip");
  EXPECT_EQ(header(packed, "Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_NE(header(packed, "ETag"), header(plain, "ETag"));
  EXPECT_EQ(get("/assets/app-5F3KQ2ZV.js", {{"Accept-Encoding", "gzip;q=0"}}).body, "long");
  EXPECT_EQ(get("/assets/only-ABCDEFGH.css").body, "packed css");
}

TEST(Pages, what_is_not_there_is_not_found) {
  EXPECT_EQ(get("/nothing").status, 404);
  EXPECT_EQ(get("/assets%2Fapp-5F3KQ2ZV.js").status, 200);  // a lookup, never a path
}

}  // namespace
}  // namespace tapeline::serve
