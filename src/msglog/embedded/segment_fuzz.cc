// Any bytes at all as the last segment of a partition: the log opens, reads, checks, repairs and
// goes on appending, without a crash; after the repair there is no damage left.

#include "base/check.h"
#include "io/faulty_file_system.h"
#include "msglog/embedded/embedded_log.h"
#include "msglog/embedded/sealed_text.h"
#include "msglog/embedded/segment_index.h"

namespace tapeline::msglog {
namespace {

void try_segment(std::string_view bytes) {
  io::FaultyFileSystem files(1);
  ManualClock clock{Timestamp()};
  TL_ASSERT(io::make_directories(files, "/log/t/0"));
  TL_ASSERT(io::write_file_atomically(
      files, "/log/t/topic",
      seal({{"id", "30303030303030303030303030303030"}, {"partitions", "1"}})));
  TL_ASSERT(io::write_file_atomically(files, "/log/t/0/00000000000000000000.segment", bytes));
  auto log = EmbeddedLog::open(files, clock, {.directory = "/log", .preallocate_bytes = 0});
  TL_ASSERT(log);
  TL_ASSERT((*log)->repair("t"));
  const auto report = (*log)->verify("");
  TL_ASSERT(report);
  for (const auto& finding : report->findings) TL_ASSERT(!finding.is_damage);
  Offset next = 0;
  while (true) {
    const auto fetched = (*log)->fetch({"t", 0}, next, {.records_max = 3});
    TL_ASSERT(fetched);
    if (fetched->records.empty()) break;
    TL_ASSERT(fetched->next > next);
    next = fetched->next;
  }
  TL_ASSERT((*log)->append("t", std::vector<Record>{{"k", "v"}}));
}

}  // namespace
}  // namespace tapeline::msglog

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  tapeline::msglog::try_segment(bytes);
  static_cast<void>(tapeline::msglog::decode_index(bytes).has_value());
  static_cast<void>(tapeline::msglog::unseal(bytes).has_value());
  return 0;
}
