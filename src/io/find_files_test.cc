#include "io/find_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "io/atomic_file.h"

namespace tapeline::io {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  Folder() : root_(fs::path(testing::TempDir()) / ("find_" + std::to_string(::getpid()))) {
    fs::create_directories(root_);
  }
  ~Folder() override { fs::remove_all(root_); }

  void touch(const std::string& name) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << name;
  }

  /// What a name means, without the root, or "error: …".
  std::string found(const std::string& name) {
    const auto files = find_files(
        *files_, (root_ / name).string(),
        [](std::string_view file) { return file.ends_with(".csv"); }, "*.csv");
    if (!files) return "error: " + files.error().message.substr(0, 24);
    std::string all;
    for (const auto& file : *files) all += file.substr(root_.string().size() + 1) + " ";
    return all;
  }

  fs::path root_;
  std::unique_ptr<FileSystem> files_ = make_file_system();
};

TEST_F(Folder, a_file_a_folder_and_a_pattern_mean_files_by_name) {
  for (const auto* name : {"b.csv", "a.csv", "readme", "in/c.csv", "in/deep/d.csv", ".git/e.csv",
                           "in/.hidden.csv", "we[ir]d.csv"})
    touch(name);
  EXPECT_EQ(found("readme"), "readme ");
  EXPECT_EQ(found("we[ir]d.csv"), "we[ir]d.csv ");
  EXPECT_EQ(found("."), "./a.csv ./b.csv ./in/c.csv ./in/deep/d.csv ./we[ir]d.csv ");
  EXPECT_EQ(found("in"), "in/c.csv in/deep/d.csv ");
  EXPECT_EQ(found("*.csv"), "a.csv b.csv we[ir]d.csv ");
  EXPECT_EQ(found("[ab].csv"), "a.csv b.csv ");
  EXPECT_EQ(found("i*/?.csv"), "in/c.csv ");
  EXPECT_EQ(found("*/deep"), "in/deep/d.csv ");
  EXPECT_TRUE(found("*.txt").starts_with("error: no file matches"));
  EXPECT_TRUE(found("none").starts_with("error: there is no file"));
  fs::create_directories(root_ / "empty");
  EXPECT_TRUE(found("empty").starts_with("error: there is no file to read"));
}

TEST_F(Folder, a_link_that_leads_back_up_is_an_error_and_no_endless_search) {
  touch("loop/a.csv");
  fs::create_directory_symlink(root_ / "loop", root_ / "loop" / "again");
  EXPECT_TRUE(found("loop").starts_with("error: ")) << found("loop");
}

TEST_F(Folder, what_has_no_end_or_leads_nowhere_is_not_read) {
  touch("odd/a.csv");
  ASSERT_EQ(mkfifo((root_ / "odd" / "pipe.csv").c_str(), 0600), 0);
  fs::create_symlink("self.csv", root_ / "odd" / "self.csv");
  EXPECT_EQ(found("odd"), "odd/a.csv ");
  EXPECT_TRUE(found("odd/pipe.csv").starts_with("error: '"));
  EXPECT_TRUE(found("odd/self.csv").starts_with("error: there is no file"));
}

TEST_F(Folder, a_file_appears_whole_or_not_at_all) {
  const std::string path = (root_ / "out").string();
  {
    auto file = *AtomicFile::create(*files_, path);
    ASSERT_TRUE(file.write(std::string(3 << 20, 'x')));
    EXPECT_TRUE(fs::exists(file.temporary()));
    EXPECT_FALSE(AtomicFile::create(*files_, path));  // one at a time
  }
  EXPECT_TRUE(fs::is_empty(root_));
  touch("out");
  {
    auto file = *AtomicFile::create(*files_, path);
    ASSERT_TRUE(file.write("new"));
    EXPECT_EQ(*read_file(*files_, path), "out");
    ASSERT_TRUE(file.commit());
    EXPECT_EQ(file.size_bytes(), 3);
  }
  EXPECT_EQ(*read_file(*files_, path), "new");
  touch("out.part");  // what a crash left
  auto again = *AtomicFile::create(*files_, path);
  ASSERT_TRUE(again.commit());
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), {}), 1);
}

}  // namespace
}  // namespace tapeline::io
