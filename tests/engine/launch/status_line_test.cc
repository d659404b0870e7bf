#include "engine/launch/status_line.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "comm/local/flow_control.h"
#include "comm/system/clock.h"
#include "engine/launch/status_text.h"
#include "tests/engine/launch/process_harness.h"
#include "tests/engine/launch/terminal.h"

namespace headway::internal {
namespace {

const std::string kErase = "\r\x1b[K";

// A run that has begun.
struct Running {
  Running() {
    REQUIRE(monitor.TryBegin(1, 7));
    monitor.BeginAttempt(&flow_control, nullptr);
  }
  FlowControl flow_control{1, 1000};
  RunMonitor monitor;
  ManualClock clock;
};

TEST_CASE("a status says epoch, records/s since the last one, bytes in flight and lag") {
  const absl::Duration start = absl::Hours(5);
  StatusText text(start);
  RunStatistics run{.records = 500, .epoch = 3, .source_epoch = 3, .bytes_in_flight = 0};
  CHECK(text.Update(run, start + absl::Seconds(1)) ==
        "epoch 3 | 500 records/s | 0 B in flight | lag 0.0s");
  run = {.records = 1'000'500, .epoch = 3, .source_epoch = 4, .bytes_in_flight = 1536};
  CHECK(text.Update(run, start + absl::Seconds(2)) ==
        "epoch 3 | 1.00M records/s | 1.5 KiB in flight | lag 0.0s");
  run = {.records = 1'000'500, .epoch = 3, .source_epoch = 5, .bytes_in_flight = 5 << 20};
  CHECK(text.Update(run, start + absl::Seconds(4)) ==
        "epoch 3 | 0 records/s | 5.0 MiB in flight | lag 2.0s");
  run.epoch = 4;  // the sources left it two seconds later
  CHECK(text.Update(run, start + absl::Seconds(5)) ==
        "epoch 4 | 0 records/s | 5.0 MiB in flight | lag 1.0s");
  run.epoch = 5;
  CHECK(text.Update(run, start + absl::Seconds(6)).ends_with("lag 0.0s"));
  run = {.records = run.records + 12'345, .epoch = std::nullopt, .source_epoch = 6};
  CHECK(text.Update(run, start + absl::Seconds(7)) ==
        "epoch 6 | 12.3k records/s | 0 B in flight | lag 0.0s");
}

TEST_CASE("a status line is written over and over, makes way for others, and is gone in the end") {
  Terminal terminal;
  Running run;
  {
    StatusLine line(terminal.end.get(), "process 0: ", run.monitor, run.clock);
    const std::string expected =
        kErase + "process 0: epoch 7 | 0 records/s | 0 B in flight | lag 0.0s";
    CHECK(terminal.ReadUntil("lag 0.0s") == expected);
    run.monitor.OfWorker(0).epoch = 8;
    CHECK(terminal.ReadUntil("epoch 8").starts_with(kErase));
    line.Hide([&] { CHECK(write(terminal.end.get(), "news", 4) == 4); });
    CHECK(terminal.ReadUntil("news").ends_with(kErase + "news"));
    terminal.ReadUntil("epoch 8");  // it comes back
  }
  CHECK(terminal.ReadRest().ends_with(kErase));
}

TEST_CASE("a status line is not longer than a line of its terminal") {
  Terminal terminal(20);
  Running run;
  {
    StatusLine line(terminal.end.get(), "", run.monitor, run.clock);
  }  // ends before it is shown
  StatusLine line(terminal.end.get(), "", run.monitor, run.clock);
  for (int i = 0; i < 2; ++i) {
    CHECK(terminal.ReadUntil("records") == kErase + "epoch 7 | 0 records");
  }
}

TEST_CASE("the lag that a status line shows is that of its clock") {
  Terminal terminal;
  Running run;
  StatusLine line(terminal.end.get(), "", run.monitor, run.clock);
  run.monitor.OfWorker(0).epoch = 7;
  run.monitor.OfWorker(0).source_epoch = 8;
  terminal.ReadUntil("lag 0.0s");
  terminal.ReadUntil("lag 0.0s");  // the sources were seen at their epoch by now
  run.clock.Advance(absl::Hours(1));
  terminal.ReadUntil("lag 3600.0s");
}

TEST_CASE("a terminal that was stopped holds up nobody") {
  Terminal terminal;
  Running run;
  StatusLine line(terminal.end.get(), "", run.monitor, run.clock);
  terminal.ReadUntil("lag");
  REQUIRE(tcflow(terminal.end.get(), TCOOFF) == 0);
  std::future<void> hidden = std::async(std::launch::async, [&] { line.Hide([] {}); });
  const auto ended = hidden.wait_for(std::chrono::milliseconds(kGiveUpMs));
  tcflow(terminal.end.get(), TCOON);  // lets the blocked write end, and so the test
  CHECK(ended == std::future_status::ready);
}

TEST_CASE("nothing is written before a run has begun, nor to what is no terminal") {
  Terminal terminal, idle_terminal;
  Pipe pipe;
  Running run;
  const RunMonitor not_begun;
  {
    StatusLine idle_line(idle_terminal.end.get(), "", not_begun, run.clock);
    StatusLine pipe_line(pipe.in.get(), "", run.monitor, run.clock);
    StatusLine line(terminal.end.get(), "", run.monitor, run.clock);
    terminal.ReadUntil("lag");
    terminal.ReadUntil("lag");
  }
  CHECK(idle_terminal.ReadRest().empty());
  pipe.in.Close();
  char byte;
  CHECK(read(pipe.out.get(), &byte, 1) == 0);
}

}  // namespace
}  // namespace headway::internal
