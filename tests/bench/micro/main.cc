// naru-micro: without arguments google-benchmark's times (its own options are understood); with --instructions
// [NAME...] every case runs a fixed number of times between client requests to callgrind, which writes one dump for
// each (scripts/micro). Outside callgrind those runs only show that the cases work.
#include <cstdio>
#include <cstring>

#include <benchmark/benchmark.h>
#include <valgrind/callgrind.h>

#include "common/logging.h"
#include "micro.h"

namespace {

void count(const micro::Case& one) {
  const micro::Step step = one.start();
  step();  // what is allocated once, or looked up once, is not the step's
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
  for (int i = 0; i < one.iterations; ++i) step();
  CALLGRIND_DUMP_STATS_AT(one.name.c_str());
  CALLGRIND_STOP_INSTRUMENTATION;
  std::printf("%d %s\n", one.iterations, one.name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  common::configure_logging(common::LogLevel::error, common::LogFormat::text);
  micro::Cases all;
  micro::add_records(all);
  micro::add_log(all);
  micro::add_codecs(all);
  micro::add_replication(all);
  micro::add_metadata(all);
  micro::add_groups(all);
  if (argc > 1 && std::strcmp(argv[1], "--instructions") == 0) {
    for (const micro::Case& one : all) {
      bool wanted = argc == 2;
      for (int i = 2; i < argc; ++i) wanted = wanted || one.name.find(argv[i]) != std::string::npos;
      if (wanted) count(one);
    }
    return 0;
  }
  for (const micro::Case& one : all) {
    benchmark::RegisterBenchmark(one.name.c_str(), [one](benchmark::State& state) {
      const micro::Step step = one.start();
      for (auto _ : state) step();
    });
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
