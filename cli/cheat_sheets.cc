#include "cli/cheat_sheets.h"

#include <array>

namespace cli {
namespace {

constexpr std::array sheets = {
    CheatSheet{"topics-in-five-lines",
               R"(naru topic create orders -p 6         # copies: as many as is usual in the cluster, or -r 3
naru topic list --problems            # those without a leader or without all copies
naru topic describe orders            # leaders, who is in sync, settings of its own
naru topic grow orders -p 12          # keys go to other partitions from then on
naru topic delete orders --yes        # within the hour, naru topic restore orders brings it back
)"},
    CheatSheet{"records-in-five-lines",
               R"(seq 1 100 | naru produce orders       # one record a line; the command ends when all are acknowledged
printf 'k1\tv1\nk2\tv2\n' | naru produce orders -f '%k\t%v\n'
naru consume orders --from start -e   # -e: stop at the end
naru consume orders --from -10 -e -f '%p %o %k: %v\n'
naru consume orders -g billing -n 10  # as a member of a group, from what it committed
)"},
    CheatSheet{"groups-in-five-lines",
               R"(naru group list                       # all groups, and how far they are behind
naru group describe billing           # partition by partition
naru group seek billing --to start    # a preview; --yes does it
naru why group billing                # why it lags, in one sentence
naru group delete billing --yes
)"},
    CheatSheet{"clusters-in-five-lines", R"(naru status                           # on one screen; -w keeps it up
naru health --wait --timeout 30s      # exit code 10 when something is wrong
naru doctor                           # addresses, clocks, disks, limits, versions, as seen from here
naru quorum status                    # who votes on the metadata
naru partition balance --dry-run      # what would be moved; --yes moves it
)"},
};

}  // namespace

std::span<const CheatSheet> cheat_sheets() {
  return sheets;
}

}  // namespace cli
