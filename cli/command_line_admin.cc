#include "cli/command_line_admin.h"

#include "cli/command_builder.h"

namespace cli {
namespace {

void add_target(CLI::App* app, ConfigTarget& target) {
  app->add_option("kind", target.kind, "topic, broker, cluster or group")
      ->required()
      ->check(CLI::IsMember({"topic", "broker", "cluster", "group"}).description(""));
}

void add_config_commands(CommandBuilder& tree) {
  CLI::App* config = tree.group("config", "");
  std::shared_ptr<ConfigGetCommand> get;
  CLI::App* app = tree.add(*config, "get", "What is set, where it comes from, and what would hold otherwise",
                           "  naru config get topic orders\n  naru config get topic orders retention.ms\n"
                           "  naru config get broker 1 --all\n  naru config get cluster",
                           get);
  add_target(app, get->target);
  auto words = std::make_shared<std::vector<std::string>>();
  app->add_option("name", *words,
                  "Which one (none for the cluster), then settings: all that are set, if none is named");
  app->add_flag("--all", get->all, "Those at their default too");
  tree.add_shared(app, get);
  tree.on_parsed(app, get, [get, words] {
    const bool named = get->target.kind != "cluster";
    if (named && !words->empty()) get->target.name = words->front();
    get->keys.assign(words->begin() + (named && !words->empty() ? 1 : 0), words->end());
  });

  for (const bool unset : {false, true}) {
    std::shared_ptr<ConfigSetCommand> set;
    app = tree.add(*config, unset ? "unset" : "set",
                   unset ? "Give settings back to their defaults" : "Change settings of a running cluster",
                   unset ? "  naru config unset topic orders retention.ms"
                         : "  naru config set topic orders retention.ms=86400000\n"
                           "  naru config set cluster log.cleaner.threads=2 --dry-run",
                   set);
    set->unset = unset;
    add_target(app, set->target);
    auto rest = std::make_shared<std::vector<std::string>>();
    app->add_option("name", *rest,
                    unset ? "Which one (none for the cluster), then settings"
                          : "Which one (none for the cluster), then NAME=VALUE")
        ->required();
    app->add_flag("--dry-run", set->dry_run, "Only say whether it would be taken");
    tree.add_shared(app, set);
    tree.on_parsed(app, set, [set, rest] {
      const bool named = set->target.kind != "cluster";
      if (named) set->target.name = rest->front();
      set->settings.assign(rest->begin() + (named ? 1 : 0), rest->end());
      if (set->settings.empty()) throw CLI::ValidationError(set->unset ? "unset" : "set", "which settings?");
    });
  }
}

void add_group_commands(CommandBuilder& tree) {
  CLI::App* groups = tree.group("group", "");
  std::shared_ptr<GroupSeekCommand> seek;
  CLI::App* app =
      tree.add(*groups, "seek", "Say where a group goes on reading; shows it, and does it with --yes",
               "  naru group seek billing --to start\n  naru group seek billing --to 2h --topic orders --yes\n"
               "  naru group seek billing --to 1234 --topic orders:0,3 --yes",
               seek);
  app->add_option("group", seek->group, "Name")->required();
  app->add_option("--to", seek->to,
                  "start, end, -10 (ten before the end), 1234 (an offset), 2h (two hours ago), @1700000000000 or "
                  "@2026-11-23T12:00:00Z")
      ->required()
      ->type_name("WHERE");
  app->add_option("-t,--topic", seek->topics, "Only these, orders or orders:0,3; else all that it has committed")
      ->type_name("TOPIC");
  app->add_flag("-y,--yes", seek->yes, "Do it");
  app->add_flag("--dry-run", seek->dry_run, "Only show it, whatever else is said");
  tree.add_shared(app, seek);

  std::shared_ptr<GroupDeleteCommand> remove;
  app = tree.add(*groups, "delete", "Delete groups that have no members, and what they have committed",
                 "  naru group delete billing --yes", remove);
  app->add_option("group", remove->names, "Names")->required();
  app->add_flag("-y,--yes", remove->yes, "Do not ask");
  app->add_flag("--dry-run", remove->dry_run, "Only say what would be done");
  tree.add_shared(app, remove);
}

void add_broker_commands(CommandBuilder& tree) {
  CLI::App* brokers = tree.group("broker", "List, describe, drain and remove brokers");
  std::shared_ptr<BrokerListCommand> list;
  CLI::App* app = tree.add(*brokers, "list", "Address, role, leaders, replicas and disk of every broker",
                           "  naru broker list", list);
  tree.add_shared(app, list);
  std::shared_ptr<BrokerDescribeCommand> describe;
  app = tree.add(*brokers, "describe", "One broker and its data directories", "  naru broker describe 1", describe);
  app->add_option("broker", describe->id, "Its id")->required()->check(between(0, 2'147'483'647));
  tree.add_shared(app, describe);
  for (const bool back : {false, true}) {
    std::shared_ptr<BrokerDrainCommand> drain;
    app = tree.add(*brokers, back ? "undrain" : "drain",
                   back ? "Even out replicas and leaderships again: shows the plan, and does it with --yes"
                        : "Move everything away from a broker before it is stopped or removed: shows the plan, and "
                          "does it with --yes",
                   back ? "  naru broker undrain 3 --dry-run\n  naru broker undrain 3 --yes"
                        : "  naru broker drain 3 --dry-run\n  naru broker drain 3 --yes\n"
                          "  naru broker drain 3 --leaders --yes      it keeps its replicas and leads none of them",
                   drain);
    drain->back = back;
    app->add_option("broker", drain->id, "Its id")->required()->check(between(0, 2'147'483'647));
    if (!back) app->add_flag("--leaders", drain->leaders, "Only what it leads: replicas stay");
    add_bytes(app, "--throttle", drain->throttle, "Bytes a second that each leader gives at most");
    app->add_flag("-y,--yes", drain->yes, "Do not ask");
    app->add_flag("--dry-run", drain->dry_run, "Only show the plan");
    tree.add_shared(app, drain);
  }
  std::shared_ptr<BrokerRemoveCommand> remove;
  app = tree.add(*brokers, "remove", "The cluster forgets a broker that is gone for good and holds no replicas",
                 "  naru broker drain 4 --yes\n  naru broker remove 4 --yes", remove);
  app->add_option("broker", remove->id, "Its id")->required()->check(between(0, 2'147'483'647));
  app->add_flag("-y,--yes", remove->yes, "Do not ask");
  app->add_flag("--dry-run", remove->dry_run, "Only say what would be done");
  tree.add_shared(app, remove);
}

void add_partition_commands(CommandBuilder& tree) {
  CLI::App* partition = tree.group("partition", "");
  for (const bool balance : {false, true}) {
    std::shared_ptr<PartitionMoveCommand> move;
    CLI::App* app = tree.add(
        *partition, balance ? "balance" : "move",
        balance ? "Even out how many replicas brokers hold: shows the plan, and does it with --yes"
                : "Replicas to other brokers, or more or fewer of them: shows the plan, and does it with --yes",
        balance ? "  naru partition balance --dry-run\n  naru partition balance orders --yes --wait"
                : "  naru partition move orders --to 2,3,4 --dry-run\n"
                  "  naru partition move orders --replicas 3 --throttle 10MiB --yes\n"
                  "  naru partition move --off 3 --yes --wait      everything away from broker 3",
        move);
    move->balance = balance;
    app->add_option("topic", move->topics, "Names; all topics without");
    app->add_option("--to", move->to, "Brokers that may hold them (all that are up)")
        ->delimiter(',')
        ->type_name("ID,ID");
    app->add_option("--off", move->off, "Brokers that shall hold none")->delimiter(',')->type_name("ID,ID");
    app->add_option("-r,--replicas", move->replicas, "How many copies (as many as there are)")
        ->check(between(1, 32'767))
        ->type_name("NUMBER");
    add_bytes(app, "--throttle", move->throttle, "Bytes a second that each leader gives at most");
    app->add_flag("-y,--yes", move->yes, "Do not ask");
    app->add_flag("--dry-run", move->dry_run, "Only show the plan");
    app->add_flag("--wait", move->wait, "Until all of it is done");
    tree.add_shared(app, move);
  }
  std::shared_ptr<PartitionMovesCommand> moves;
  CLI::App* app =
      tree.add(*partition, "moves", "What is being moved, and how far it is",
               "  naru partition moves\n  naru partition moves --wait\n  naru partition moves --cancel", moves);
  app->add_flag("--wait", moves->wait, "Until all of it is done; then what throttled it is taken away");
  app->add_flag("--cancel", moves->cancel, "Turn it back");
  app->add_flag("--keep-throttle", moves->keep_throttle, "Leave what throttles brokers and topics as it is");
  add_bytes(app, "--throttle", moves->throttle, "Another rate for what was begun with one");
  tree.add_shared(app, moves);
}

void add_quorum_commands(CommandBuilder& tree) {
  CLI::App* quorum = tree.group("quorum", "Who votes on the metadata: look, add, remove");
  std::shared_ptr<QuorumStatusCommand> status;
  CLI::App* app = tree.add(*quorum, "status", "Controller, voters and observers, and how far each has come",
                           "  naru quorum status\n  naru quorum status -o json", status);
  app->alias("describe");  // as the other nouns have it
  tree.add_shared(app, status);
  for (const bool remove : {false, true}) {
    std::shared_ptr<QuorumCommand> change;
    app = tree.add(*quorum, remove ? "remove" : "add",
                   remove ? "Take votes away; the brokers go on as observers, with all that they hold"
                          : "Make voters of brokers that follow the metadata log",
                   remove ? "  naru quorum remove 3 --yes" : "  naru quorum add 2 3", change);
    change->remove = remove;
    app->add_option("broker", change->ids, "Ids, one after the other")->required()->check(between(0, 2'147'483'647));
    if (remove) app->add_flag("-y,--yes", change->yes, "Do not ask");
    app->add_flag("--dry-run", change->dry_run, "Only say what would be done");
    tree.add_shared(app, change);
  }
}

void add_topic_commands(CommandBuilder& tree) {
  CLI::App* topic = tree.group("topic", "");
  std::shared_ptr<TopicOffsetsCommand> offsets;
  CLI::App* app = tree.add(*topic, "offsets", "Where each partition begins and ends",
                           "  naru topic offsets orders\n  naru topic offsets orders --at 2h", offsets);
  app->add_option("topic", offsets->topic, "Name")->required();
  app->add_option("--at", offsets->at, "And the first offset at or after a time")->type_name("TIME");
  tree.add_shared(app, offsets);
  std::shared_ptr<TopicTrimCommand> trim;
  app = tree.add(*topic, "trim", "Delete records from the front",
                 "  naru topic trim orders --before 7000\n  naru topic trim orders --before 24h --yes", trim);
  app->add_option("topic", trim->topic, "Name")->required();
  app->add_option("--before", trim->before,
                  "1234 (an offset), end, -10 (all but ten), 2h (older than two hours), @2026-11-23T12:00:00Z")
      ->required()
      ->type_name("WHERE");
  app->add_option("-p,--partition", trim->partition, "One partition only")
      ->check(between(0, 1'000'000))
      ->type_name("NUMBER");
  app->add_flag("-y,--yes", trim->yes, "Do not ask");
  app->add_flag("--dry-run", trim->dry_run, "Only say what would be done");
  tree.add_shared(app, trim);
}

void add_diagnosis(CommandBuilder& tree) {
  std::shared_ptr<StatusCommand> top;
  CLI::App* live = tree.add(tree.root(), "top", "The cluster on one screen, again every second (as naru status -w)",
                            "  naru top", top);
  top->watch = true;
  tree.add_shared(live, top);

  std::shared_ptr<WhyCommand> why;
  CLI::App* app = tree.add(tree.root(), "why",
                           "Why a topic cannot be written or read, a group lags, or copies are missing: one sentence",
                           "  naru why produce orders\n  naru why consume orders\n  naru why group billing\n"
                           "  naru why under-replicated",
                           why);
  app->add_option("what", why->what, "produce, consume, group or under-replicated")
      ->required()
      ->check(CLI::IsMember({"produce", "consume", "group", "under-replicated"}).description(""));
  app->add_option("name", why->name, "Of the topic or group");
  tree.add_shared(app, why);
  tree.on_parsed(app, why, [why] {
    const bool of_all = why->what == "under-replicated";
    if (of_all != why->name.empty())
      throw CLI::ValidationError(why->what,
                                 of_all ? "is asked of the whole cluster" : "of which one? a name is missing");
  });
  std::shared_ptr<DoctorCommand> doctor;
  app = tree.add(tree.root(), "doctor",
                 "Look at everything that can be looked at from here: addresses, clocks, disks, limits, versions",
                 "  naru doctor\n  naru doctor --addresses\n  naru doctor -b kafka-1:9092 -o json", doctor);
  app->add_flag("--addresses", doctor->addresses, "Only whether clients here reach what the brokers send them to");
  tree.add_shared(app, doctor);
}

void add_drill(CommandBuilder& tree) {
  std::shared_ptr<DrillCommand> drill;
  CLI::App* app = tree.add(
      tree.root(), "drill", "Harm your own cluster under load, and see what was lost and how long writes stood still",
      "  naru drill kill-leader                  says what it will do, and asks\n  naru drill kill-controller --yes\n"
      "  naru drill pause --for 10s\n  naru drill rolling-restart\n  naru drill fill-disk --broker 2\n"
      "  naru drill partition --harm-with 'docker network disconnect net naru-{id}' \\\n"
      "                       --heal-with 'docker network connect net naru-{id}'\n\n"
      "Brokers of this machine are harmed by signals; others by the commands that you name. One drill at a time: a\n"
      "second one on the same cluster is refused.\n"
      "Exit codes: 0 only if nothing was broken and the run shows something; 10 otherwise.",
      drill);
  app->add_option("harm", drill->harm, "kill-leader, kill-controller, pause, partition, fill-disk or rolling-restart")
      ->required()
      ->check(CLI::IsMember({"kill-leader", "kill-controller", "pause", "partition", "fill-disk", "rolling-restart"})
                  .description(""));
  app->add_option("--broker", drill->broker, "This one, instead of the leader or controller")
      ->check(between(0, 2'147'483'647))
      ->type_name("ID");
  app->add_option("--harm-with", drill->harm_with, "A shell command that does it; {id}, {host}, {port} are filled in")
      ->type_name("COMMAND");
  app->add_option("--heal-with", drill->heal_with, "The one that undoes it")->type_name("COMMAND");
  app->add_option("--rate", drill->rate, "Records a second that are written meanwhile")
      ->check(between(1, 1'000'000))
      ->type_name("NUMBER")
      ->capture_default_str();
  add_duration(app, "--for", drill->harm_time, "How long the harm lasts (5s)");
  add_duration(app, "--quiet-time", drill->quiet_time,
               "How long all is well before and after (3s); rates need a second or more");
  add_duration(app, "--patience", drill->patience, "How long the cluster may take to be whole again (2m)");
  app->add_flag("-y,--yes", drill->yes, "Do not ask");
  tree.add_shared(app, drill);
}

void add_bench_commands(CommandBuilder& tree) {
  using Mode = BenchCommand::Mode;
  CLI::App* group = tree.group("bench", "How fast the cluster is from here");
  struct Kind {
    Mode mode;
    const char* name;
    const char* what;
    const char* examples;
    int64_t count;
  };
  for (const Kind& kind :
       {Kind{Mode::produce, "produce", "Write as fast as it goes, or at a rate; latencies until the acknowledgement",
             "  naru bench produce -n 1000000 --size 200\n  naru bench produce --rate 5000 -n 60000", 100'000},
        {Mode::consume, "consume", "Read what was written for it, or what is in a topic",
         "  naru bench consume -n 1000000\n  naru bench consume orders", 100'000},
        {Mode::e2e, "e2e", "One record after the other from a producer to a consumer", "  naru bench e2e -n 1000",
         1000}}) {
    std::shared_ptr<BenchCommand> command;
    CLI::App* app = tree.add(*group, kind.name, kind.what, kind.examples, command);
    command->mode = kind.mode;
    command->count = kind.count;
    app->add_option("topic", command->topic, "An existing topic; without it one of its own, deleted after");
    app->add_option("-n,--count", command->count, "How many records")
        ->check(between(1, 1'000'000'000))
        ->type_name("NUMBER")
        ->capture_default_str();
    app->add_option("--size", command->size, "Bytes of a record")
        ->check(between(1, 1'000'000))
        ->type_name("NUMBER")
        ->capture_default_str();
    add_acks(app, command->acks);
    add_compression(app, command->codec);
    app->add_option("-r,--replicas", command->replicas, "Copies of an own topic (as many as brokers, at most 3)")
        ->check(between(1, 32'767))
        ->type_name("NUMBER");
    if (kind.mode == Mode::produce) {
      app->add_option("--rate", command->rate, "Records a second (as fast as it goes)")
          ->check(between(1, 10'000'000))
          ->type_name("NUMBER");
    }
    if (kind.mode != Mode::e2e) {
      app->add_option("-p,--partitions", command->partitions, "Partitions of an own topic")
          ->check(between(1, 10'000))
          ->type_name("NUMBER")
          ->capture_default_str();
    }
    tree.add_shared(app, command);
  }
}

void add_log_commands(CommandBuilder& tree) {
  CLI::App* group = tree.group("log", "Look into a partition's files on this machine: no broker is asked");
  std::shared_ptr<LogCommand> dump;
  CLI::App* app = tree.add(*group, "dump", "Batches of segment files, or their records",
                           "  naru log dump /var/lib/naru/orders-0\n"
                           "  naru log dump 00000000000000000000.log --records -f '%o %k: %v\\n'",
                           dump);
  app->add_option("file", dump->paths, "Segments, or partitions' directories")->required()->type_name("FILE");
  app->add_flag("--records", dump->records, "The records instead of the batches");
  app->add_option("-f,--format", dump->format, "How a record looks, as naru consume has it (%o %d %k: %v\\n)");
  tree.add_shared(app, dump);

  std::shared_ptr<LogCommand> verify;
  app = tree.add(*group, "verify", "Whether everything is there and can be read; exit code 10 when not",
                 "  naru log verify /var/lib/naru/orders-0", verify);
  verify->action = LogCommand::Action::verify;
  app->add_option("file", verify->paths, "Partitions' directories, or segments")->required()->type_name("FILE");
  tree.add_shared(app, verify);
}

void add_profile_commands(CommandBuilder& tree) {
  using Action = ProfileCommand::Action;
  struct Verb {
    Action action;
    const char* name;
    const char* what;
    const char* examples;
  };
  CLI::App* group = tree.group("profile", "Clusters by name: save where one is, and use it without -b");
  for (const Verb& verb :
       {Verb{Action::save, "save", "Save where a cluster is under a name, and use it from now on",
             "  naru profile save test -b kafka-1:9092,kafka-2:9092\n"
             "  naru profile save test -b kafka-1:9092 -X request.timeout.ms=5000"},
        {Action::use, "use", "Use a profile from now on; without a name, none", "  naru profile use test"},
        {Action::list, "list", "List profiles", "  naru profile list\n  naru profile list -o json"},
        {Action::remove, "remove", "Forget a profile", "  naru profile remove test"}}) {
    std::shared_ptr<ProfileCommand> command;
    CLI::App* app = tree.add(*group, verb.name, verb.what, verb.examples, command);
    command->action = verb.action;
    if (verb.action != Action::list) {
      CLI::Option* name = app->add_option("profile", command->name, "Name");
      if (verb.action != Action::use) name->required();
    }
    tree.add_shared(app, command, verb.action == Action::list ? OutputOption::offered : OutputOption::none);
  }
}

}  // namespace

void add_admin_commands(CommandBuilder& tree) {
  add_config_commands(tree);
  add_group_commands(tree);
  add_broker_commands(tree);
  add_partition_commands(tree);
  add_quorum_commands(tree);
  add_topic_commands(tree);
  add_diagnosis(tree);
  add_drill(tree);
  add_bench_commands(tree);
  add_log_commands(tree);
  add_profile_commands(tree);
}

}  // namespace cli
