// Every fuzzer on the inputs that are kept for it: seeds, and whatever made one fail before.
//
// tests/corpus/<name>.txt has an input a line, its bytes escaped as in C; # begins a comment.

#include <gtest/gtest.h>

#include <fstream>

#define FUZZER(name) extern "C" int fuzz_##name(const std::uint8_t* data, std::size_t size);
#include "fuzzers.inc"
#undef FUZZER

namespace {

struct Fuzzer {
  const char* name;
  int (*run)(const std::uint8_t*, std::size_t);
};
constexpr Fuzzer kFuzzers[] = {
#define FUZZER(name) {#name, fuzz_##name},
#include "fuzzers.inc"
#undef FUZZER
};

std::string unescaped(const std::string& line) {
  std::string bytes;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size()) {
      bytes += line[i];
      continue;
    }
    const char what = line[++i];
    if (what == 'x' && i + 2 < line.size()) {
      bytes += static_cast<char>(std::stoi(line.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      bytes += what == 'n' ? '\n' : what == 'r' ? '\r' : what == 't' ? '\t' : what;
    }
  }
  return bytes;
}

class Corpus : public testing::TestWithParam<Fuzzer> {};

TEST_P(Corpus, each_input_keeps_the_promises) {
  std::ifstream file(std::string(TAPELINE_SOURCE_DIR "/tests/corpus/") + GetParam().name + ".txt");
  ASSERT_TRUE(file) << "a fuzzer has no corpus";
  int inputs = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    const std::string bytes = unescaped(line);
    SCOPED_TRACE(line);
    EXPECT_EQ(GetParam().run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), 0);
    ++inputs;
  }
  EXPECT_GE(inputs, 10);
}

INSTANTIATE_TEST_SUITE_P(Fuzzers, Corpus, testing::ValuesIn(kFuzzers),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
