#include "io/file_system.h"

#include <dirent.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "io/faulty_file_system.h"

namespace {

int entries_until_error = -1;  // none comes

}  // namespace

/// The library's, on a disk that fails once so many entries were read.
extern "C" dirent* readdir(DIR* directory) {
  static const auto real = reinterpret_cast<decltype(&readdir)>(::dlsym(RTLD_NEXT, "readdir"));
  if (entries_until_error == 0) {
    errno = EIO;
    return nullptr;
  }
  if (entries_until_error > 0) --entries_until_error;
  return real(directory);
}

namespace tapeline::io {
namespace {

/// What holds for the machine's files and for those in memory alike.
class FileSystemTest : public testing::TestWithParam<bool> {
 protected:
  FileSystemTest()
      : files_(GetParam() ? make_file_system() : std::make_unique<FaultyFileSystem>(1)),
        root_(GetParam() ? testing::TempDir() + "/file_system_test" : "/root") {
    EXPECT_TRUE(remove_all(*files_, root_));
    EXPECT_TRUE(make_directories(*files_, root_ + "/a/b"));
  }
  ~FileSystemTest() override { EXPECT_TRUE(remove_all(*files_, root_)); }

  std::unique_ptr<FileSystem> files_;
  const std::string root_;
};

TEST_P(FileSystemTest, what_is_written_is_read_and_a_read_past_the_end_is_short) {
  const auto file = std::move(*files_->open(root_ + "/f", OpenMode::write));
  ASSERT_TRUE(file->write_at(2, "hello"));
  ASSERT_TRUE(file->sync_data());
  std::string bytes(10, '?');
  EXPECT_EQ(*file->read_at(0, bytes), 7);
  EXPECT_EQ(bytes.substr(0, 7), std::string("\0\0hello", 7));
  EXPECT_EQ(*file->read_at(100, bytes), 0);
  ASSERT_TRUE(file->truncate(3));
  EXPECT_EQ(*file->size_bytes(), 3);
  ASSERT_TRUE(file->preallocate(20));
  EXPECT_EQ(*read_file(*files_, root_ + "/f"), std::string("\0\0h", 3) + std::string(17, '\0'));
}

TEST_P(FileSystemTest, names_are_listed_renamed_and_removed) {
  ASSERT_TRUE(write_file_atomically(*files_, root_ + "/a/two", "2"));
  ASSERT_TRUE(write_file_atomically(*files_, root_ + "/a/one", "1"));
  ASSERT_TRUE(files_->rename(root_ + "/a/two", root_ + "/a/three"));
  const auto found = files_->list(root_ + "/a");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].name, "b");
  EXPECT_TRUE((*found)[0].is_directory);
  EXPECT_EQ((*found)[1].name, "one");
  EXPECT_EQ((*found)[2].name, "three");
  EXPECT_EQ((*found)[2].size_bytes, 1);
  ASSERT_TRUE(files_->remove(root_ + "/a/one"));
  EXPECT_FALSE(files_->info(root_ + "/a/one")->has_value());
}

TEST_P(FileSystemTest, a_folder_is_renamed_with_all_that_is_in_it) {
  ASSERT_TRUE(write_file_atomically(*files_, root_ + "/a/b/one", "1"));
  ASSERT_TRUE(files_->rename(root_ + "/a", root_ + "/c"));
  EXPECT_EQ(*read_file(*files_, root_ + "/c/b/one"), "1");
  EXPECT_FALSE(*files_->info(root_ + "/a/b/one"));
  EXPECT_FALSE(*files_->info(root_ + "/a"));
}

TEST_P(FileSystemTest, what_is_not_there_is_not_found_and_named) {
  const auto opened = files_->open(root_ + "/nothing", OpenMode::read);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
  EXPECT_NE(opened.error().message.find(root_ + "/nothing"), std::string::npos);
  EXPECT_EQ(files_->remove(root_ + "/nothing").error().code, ErrorCode::not_found);
  EXPECT_EQ(files_->list(root_ + "/nothing").error().code, ErrorCode::not_found);
  EXPECT_FALSE(files_->remove(root_ + "/a"));
}

TEST_P(FileSystemTest, a_lock_is_held_by_one_and_given_back) {
  auto first = files_->lock(root_ + "/lock");
  ASSERT_TRUE(first);
  EXPECT_EQ(files_->lock(root_ + "/lock").error().code, ErrorCode::already_exists);
  first->reset();
  EXPECT_TRUE(files_->lock(root_ + "/lock"));
}

INSTANTIATE_TEST_SUITE_P(Machine, FileSystemTest, testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Memory, FileSystemTest, testing::Values(false));

TEST(FileSystem, a_folder_that_cannot_be_read_to_its_end_is_an_error_and_no_shorter_list) {
  const auto files = make_file_system();
  entries_until_error = 2;
  const auto found = files->list("/");
  entries_until_error = -1;
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().message.starts_with("listing '/': ")) << found.error().message;
  EXPECT_GT(files->list("/")->size(), 2U);
}

TEST(FaultyFileSystem, what_was_synced_survives_every_crash_and_the_rest_may_not) {
  bool something_was_lost = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    FaultyFileSystem files(seed);
    ASSERT_TRUE(make_directories(files, "/d"));
    ASSERT_TRUE(write_file_atomically(files, "/d/kept", "synced"));
    const auto file = std::move(*files.open("/d/kept", OpenMode::write));
    ASSERT_TRUE(file->write_at(6, " and not"));
    files.kill();
    EXPECT_FALSE(file->write_at(0, "x"));
    files.start_again(true);
    EXPECT_FALSE(file->write_at(0, "x"));
    const auto left = read_file(files, "/d/kept");
    ASSERT_TRUE(left);
    EXPECT_TRUE(left->starts_with("synced"));
    something_was_lost = something_was_lost || *left != "synced and not";
  }
  EXPECT_TRUE(something_was_lost);
}

TEST(FaultyFileSystem, an_atomic_write_leaves_the_old_or_the_new_content) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    FaultyFileSystem files(seed);
    ASSERT_TRUE(make_directories(files, "/d"));
    ASSERT_TRUE(write_file_atomically(files, "/d/f", "old"));
    files.set_space_bytes(static_cast<std::int64_t>(seed % 8));
    const auto written = write_file_atomically(files, "/d/f", "new");
    files.kill();
    files.start_again(true);
    const auto left = read_file(files, "/d/f");
    ASSERT_TRUE(left);
    EXPECT_EQ(*left, written ? "new" : "old");
  }
}

TEST(FaultyFileSystem, a_renamed_folder_is_here_or_there_after_a_crash_with_what_was_synced) {
  bool was_here = false;
  bool was_there = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    FaultyFileSystem files(seed);
    ASSERT_TRUE(make_directories(files, "/d/a"));
    ASSERT_TRUE(write_file_atomically(files, "/d/a/f", "synced"));
    ASSERT_TRUE(files.rename("/d/a", "/d/b"));
    if (seed % 2 == 0) {
      ASSERT_TRUE(files.sync_directory("/d"));
    }
    files.kill();
    files.start_again(true);
    const bool there = files.info("/d/b")->has_value();
    EXPECT_TRUE(there || seed % 2 != 0);
    EXPECT_EQ(files.info("/d/a")->has_value(), !there);
    EXPECT_EQ(*read_file(files, there ? "/d/b/f" : "/d/a/f"), "synced");
    (there ? was_there : was_here) = true;
  }
  EXPECT_TRUE(was_here && was_there);
}

TEST(FaultyFileSystem, what_a_failed_sync_dropped_is_not_saved_by_the_next_one) {
  FaultyFileSystem files(3);
  ASSERT_TRUE(write_file_atomically(files, "/f", "old"));
  const auto file = std::move(*files.open("/f", OpenMode::write));
  files.fail_syncs(1);
  ASSERT_TRUE(file->write_at(0, "new"));
  EXPECT_EQ(file->sync_data().error().code, ErrorCode::unavailable);
  EXPECT_TRUE(file->sync_data());
  files.kill();
  files.start_again(true);
  EXPECT_EQ(*read_file(files, "/f"), "old");
}

TEST(FaultyFileSystem, a_full_disk_takes_what_fits_and_says_so) {
  FaultyFileSystem files(3);
  files.set_space_bytes(4);
  const auto file = std::move(*files.open("/f", OpenMode::write));
  const auto written = file->write_at(0, "hello");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::unavailable);
  EXPECT_EQ(*file->size_bytes(), 4);
  files.set_space_bytes(5);
  EXPECT_TRUE(file->write_at(0, "hello"));
}

}  // namespace
}  // namespace tapeline::io
