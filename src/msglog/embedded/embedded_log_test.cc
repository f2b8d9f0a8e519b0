#include "msglog/embedded/embedded_log.h"

#include <gtest/gtest.h>

#include "../../../tests/contract/message_log_contract.h"
#include "io/faulty_file_system.h"

namespace tapeline::msglog {
namespace {

using namespace std::chrono_literals;

struct World {
  io::FaultyFileSystem files{1};
  ManualClock clock{Timestamp(1'700'000'000s)};
  std::unique_ptr<EmbeddedLog> log;
};

LogUnderTest make_embedded() {
  auto world = std::make_shared<World>();
  world->log = std::move(*EmbeddedLog::open(world->files, world->clock,
                                            {.directory = "/log", .segment_bytes = 1 << 20}));
  auto* const log = world->log.get();
  return {world, log};
}

INSTANTIATE_TEST_SUITE_P(Embedded, MessageLogContract, testing::Values(&make_embedded));

}  // namespace
}  // namespace tapeline::msglog
