#include "cli/command_line.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/cheat_sheets.h"
#include "cli/command_builder.h"
#include "cli/command_line_admin.h"
#include "cli/command_tree.h"
#include "cli/output.h"
#include "common/config/edit_distance.h"

namespace cli {
namespace {

// Builds the tree of commands once; whichever subcommand was given leaves its value in `chosen`.
class Parser : private CommandBuilder {
 public:
  Parser();
  tl::expected<Command, Exit> parse(int argc, const char* const* argv);
  [[nodiscard]] CommandNode tree() const;

 private:
  void add_process_commands();
  void add_cluster_commands();
  void add_topic_commands();
  void add_topic_deletion(CLI::App& topic);
  void add_produce_command();
  void add_consume_command();
  void add_group_commands();
  void add_harm_commands();
  void add_verify_commands();
  void add_verify_options(CLI::App* verify, const std::shared_ptr<VerifyCommand>& run);
  void add_verify_check(CLI::App& verify);
  void add_workload_command(CLI::App& verify);
  void add_config_commands();
  void add_shell_commands();
  void add_help();
  void give_nouns_examples();

  Exit wrong_usage(const CLI::ParseError& error);
  Exit help_of(const std::vector<std::string>& words) const;
  Exit no_such_command(const CLI::App& app, const std::string& path, const std::string& word) const;
  [[nodiscard]] std::string nearest_word(const CLI::App& app, const std::string& word) const;
  [[nodiscard]] static std::string nearest_option(const CLI::App& app, const std::string& word);

  std::optional<Exit> over_;  // all is done that was asked for
};

Parser::Parser() {
  app_.name("naru");
  app_.require_subcommand(1);
  app_.set_help_flag("-h,--help", "Print this help");
  app_.failure_message([](const CLI::App*, const CLI::Error&) { return std::string(); });
  app_.footer(
      "Finding the cluster: -b/--brokers, else NARU_BROKERS, else the profile in use, else localhost:9092.\n"
      "Any one broker answers for all.\n"
      "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no broker reached, 4 some of several failed, 10 unhealthy,\n"
      "130 interrupted.\n\n"
      "Examples:\n  naru dev                      one broker on :9092, no configuration\n"
      "  naru dev --brokers 3          three brokers as a cluster\n"
      "  echo hello | naru produce greetings && naru consume greetings -e");
  app_.add_flag_callback(
      "-v,--version",
      [this] {
        chosen_ = VersionCommand{};
        throw CLI::Success();
      },
      "Print the version");
  add_process_commands();
  add_cluster_commands();
  add_topic_commands();
  add_produce_command();
  add_consume_command();
  add_group_commands();
  add_harm_commands();
  add_config_commands();
  add_admin_commands(*this);
  add_shell_commands();
  add_help();
  std::shared_ptr<VersionCommand> version;
  add(app_, "version", "Print the version", "", version);
  give_nouns_examples();
}

// A noun has no examples of its own: it shows how its first verbs begin theirs.
void Parser::give_nouns_examples() {
  constexpr size_t most = 3;
  constexpr std::string_view head = "Examples:\n";
  const std::function<bool(CLI::App*)> all;
  for (CLI::App* noun : app_.get_subcommands(all)) {
    if (!noun->get_footer().empty()) continue;
    std::vector<std::string> examples;
    for (const CLI::App* verb : noun->get_subcommands(all)) {
      const std::string footer = verb->get_footer();
      if (examples.size() == most) break;
      if (footer.starts_with(head))
        examples.push_back(footer.substr(head.size(), footer.find('\n', head.size()) - head.size()));
    }
    if (!examples.empty()) noun->footer(fmt::format("{}{}", head, fmt::join(examples, "\n")));
  }
}

void Parser::add_process_commands() {
  std::shared_ptr<StartCommand> start;
  CLI::App* app = add(app_, "start", "Run a broker in the foreground",
                      "  naru start -c server.properties\n"
                      "  naru start --set log.dirs=/var/lib/naru --set node.id=1",
                      start);
  app->add_option("-c,--config", start->config_file, "A server.properties as for a Kafka (KRaft) broker")
      ->type_name("FILE");
  app->add_option("--set", start->sets, "One property; weighs more than the file and the environment")
      ->type_name("NAME=VALUE")
      ->take_all();

  std::shared_ptr<DevCommand> dev;
  app = add(app_, "dev", "Run a broker, or a cluster of some, with no configuration",
            "  naru dev\n  naru dev --brokers 3 --dir /tmp/try", dev);
  app->add_option("--brokers", dev->brokers, "How many brokers, each a process of its own")
      ->check(between(1, 9))
      ->type_name("NUMBER");
  app->add_option("--dir", dev->dir, "Where the data goes, one folder for each broker")->capture_default_str();
  app->add_option("--port", dev->port, "Port of the first broker; the others follow")
      ->check(between(1, 55'000))
      ->type_name("NUMBER")
      ->capture_default_str();
  app->add_option("--set", dev->sets, "One property, for all brokers")->type_name("NAME=VALUE")->take_all();
  app->add_option("--ready-file", dev->ready_file, "Write the addresses there once the cluster is ready")->group("");
}

void Parser::add_cluster_commands() {
  std::shared_ptr<StatusCommand> status;
  CLI::App* app = add(app_, "status", "The cluster on one screen",
                      "  naru status\n  naru status -w\n  naru status -o json", status);
  app->add_flag("-w,--watch", status->watch, "Show it again every second until interrupted");
  add_shared(app, status);

  std::shared_ptr<HealthCommand> health;
  app = add(app_, "health", "Whether all is well; exit code 10 when not",
            "  naru health\n  naru health --wait --timeout 30s", health);
  app->add_flag("--wait", health->wait, "Wait until it is, at most --timeout");
  app->add_flag("--local", health->local, "Only whether the broker on this machine answers");
  app->add_option("--min-brokers", health->brokers_min, "Fewer living brokers than this is unhealthy")
      ->check(between(0, 100'000))
      ->type_name("NUMBER");
  add_shared(app, health);
}

void Parser::add_topic_commands() {
  CLI::App* topic = group("topic", "Create, list, describe, grow, trim, delete and restore topics");
  std::shared_ptr<TopicCreateCommand> create;
  CLI::App* app =
      add(*topic, "create", "Create topics",
          "  naru topic create orders -p 6\n  naru topic create audit -p 1 -r 3 -c retention.ms=-1", create);
  app->add_option("topic", create->names, "Names")->required();
  app->add_option("-p,--partitions", create->partitions, "How many partitions (the brokers' num.partitions)")
      ->check(between(1, 100'000))
      ->type_name("NUMBER");
  app->add_option("-r,--replicas", create->replicas,
                  "How many copies of each (the brokers' default.replication.factor)")
      ->check(between(1, 32'767))
      ->type_name("NUMBER");
  app->add_option("-c,--config", create->configs, "A topic configuration")->type_name("NAME=VALUE");
  app->add_option("--assign", create->assignment,
                  "Replicas of each partition instead of -p and -r, preferred leader first")
      ->type_name("1:2:3,2:3:1");
  app->add_flag("--if-absent", create->if_absent, "A topic that exists is no error");
  app->add_flag("--dry-run", create->dry_run, "Only say what would be done");
  add_shared(app, create);

  std::shared_ptr<TopicListCommand> list;
  app = add(*topic, "list", "List topics",
            "  naru topic list\n  naru topic list -r '^orders' -o name\n  naru topic list --problems", list);
  app->add_option("-r,--regex", list->pattern, "Only names that match")->type_name("REGEX");
  app->add_flag("--problems", list->problems, "Only topics with a partition that is not led or not fully replicated");
  app->add_flag("--internal", list->internal, "Internal topics too");
  app->add_flag("--deleted", list->deleted, "Instead, those that were deleted and can be restored");
  add_shared(app, list);

  std::shared_ptr<TopicDescribeCommand> describe;
  app = add(*topic, "describe", "Partitions, replicas in sync and changed configuration of topics",
            "  naru topic describe orders", describe);
  app->add_option("topic", describe->names, "Names")->required();
  add_shared(app, describe);

  std::shared_ptr<TopicGrowCommand> grow;
  app = add(*topic, "grow", "Add partitions to a topic", "  naru topic grow orders --partitions 12", grow);
  app->add_option("topic", grow->name, "Name")->required();
  app->add_option("-p,--partitions", grow->partitions, "How many there shall be")
      ->required()
      ->check(between(1, 100'000))
      ->type_name("NUMBER");
  app->add_flag("--dry-run", grow->dry_run, "Only say what would be done");
  add_shared(app, grow);

  add_topic_deletion(*topic);
}

void Parser::add_topic_deletion(CLI::App& topic) {
  std::shared_ptr<TopicDeleteCommand> remove;
  CLI::App* app = add(topic, "delete", "Delete topics and all their records; for a while they can be restored",
                      "  naru topic delete orders --yes\n  naru topic delete orders --keep 24h --yes\n"
                      "  naru topic delete orders --keep 0 --yes      for good: its space is free at once",
                      remove);
  app->add_option("topic", remove->names, "Names")->required();
  add_duration(app, "--keep", remove->keep,
               "How long `naru topic restore` can bring them back (1h); 0: not at all, nor what was deleted before");
  app->add_flag("-y,--yes", remove->yes, "Do not ask");
  app->add_flag("--dry-run", remove->dry_run, "Only say what would be done");
  add_shared(app, remove);

  std::shared_ptr<TopicRestoreCommand> restore;
  app = add(topic, "restore", "Bring back topics that were deleted a while ago, with their records and settings",
            "  naru topic list --deleted\n  naru topic restore orders", restore);
  app->add_option("topic", restore->names, "Names")->required();
  app->add_flag("--dry-run", restore->dry_run, "Only say what would be done");
  add_shared(app, restore);
}

void Parser::add_produce_command() {
  std::shared_ptr<ProduceCommand> produce;
  CLI::App* app = add(app_, "produce", "Send records from standard input, one a line",
                      "  echo hello | naru produce greetings\n  naru produce orders -k customer-7 < lines.txt\n"
                      "  naru produce orders -f '%k\\t%v\\n' < pairs.tsv",
                      produce);
  app->add_option("topic", produce->topic, "Name")->required();
  CLI::Option* key = app->add_option("-k,--key", produce->key, "The key of every record");
  app->add_option("-H,--header", produce->headers, "A header of every record")->type_name("NAME=VALUE");
  add_compression(app, produce->codec);
  add_acks(app, produce->acks);
  app->add_option("-p,--partition", produce->partition, "One partition instead of by key")
      ->check(between(0, 2'147'483'647))
      ->type_name("NUMBER");
  app->add_option("-t,--timestamp", produce->timestamp,
                  "Of every record: 2h (two hours ago), @1700000000000 or @2026-11-23T12:00:00Z; else now")
      ->type_name("TIME");
  app->add_option("-f,--format", produce->format,
                  "How a record looks: %k key, %v value, \\t \\n and other text (%v\\n)");
  add_shared(app, produce, OutputOption::none);
  produce->shared.timeout = std::chrono::seconds(30);
  app->callback([this, produce, key] {
    produce->has_key = key->count() > 0;
    chosen_ = *produce;
  });
}

void Parser::add_consume_command() {
  std::shared_ptr<ConsumeCommand> consume;
  CLI::App* app = add(app_, "consume", "Print records as they come",
                      "  naru consume orders --from start -e\n  naru consume orders --from -10 -f '%p %o %k: %v\\n'\n"
                      "  naru consume orders -g billing -o json",
                      consume);
  app->add_option("topic", consume->topics, "Names")->required();
  app->add_option(
      "--from", consume->from,
      "start, end, -10 (the last ten of each partition), 1234 (an offset), 2h (two hours ago), @1700000000000 or "
      "@2026-11-23T12:00:00Z; start with -e or -g, else end. With -g only start or end, where nothing is committed");
  app->add_option("-g,--group", consume->group, "As a member of this group, from what it committed");
  app->add_option(
      "-f,--format", consume->format,
      "%t topic, %p partition, %o offset, %k key, %v value, %h headers, %T milliseconds, %d date, \\t \\n (%v\\n)");
  app->add_flag("-e,--exit", consume->exit_at_end, "Stop at the end");
  app->add_option("-n,--count", consume->count, "Stop after so many records")
      ->check(between(1, 1'000'000'000'000))
      ->type_name("NUMBER");
  app->add_option("-p,--partition", consume->partition, "One partition only")
      ->check(between(0, 2'147'483'647))
      ->type_name("NUMBER");
  add_shared(app, consume);
  // The group says which partitions a member reads, and from where: what is asked for besides would not come true.
  on_parsed(app, consume, [consume] {
    if (consume->group.empty()) return;
    if (consume->partition >= 0) throw CLI::ValidationError("-p", "not with -g: a group shares its partitions out");
    if (!consume->from.empty() && consume->from != "start" && consume->from != "beginning" && consume->from != "end")
      throw CLI::ValidationError("--from", "only start or end with -g; `naru group seek` says where a group goes on");
  });
}

void Parser::add_group_commands() {
  CLI::App* groups = group("group", "List, describe, move and delete consumer groups");
  std::shared_ptr<GroupListCommand> list;
  CLI::App* app = add(*groups, "list", "State, members and lag of all groups",
                      "  naru group list\n  naru group list -o wide\n  naru group list --behind -o json", list);
  app->add_flag("--behind", list->behind,
                "Also how old what they have not read is, as -o wide: reads records of each partition with a lag");
  add_shared(app, list);
  std::shared_ptr<GroupDescribeCommand> describe;
  app = add(*groups, "describe", "Committed offsets, lag and members of groups", "  naru group describe billing",
            describe);
  app->add_option("group", describe->names, "Names")->required();
  add_shared(app, describe);
}

void Parser::add_harm_commands() {
  CLI::App* partition = group("partition", "Move replicas, choose leaders");
  std::shared_ptr<PartitionElectCommand> elect;
  CLI::App* app = add(*partition, "elect", "Give leadership to the preferred replicas (the first of each list)",
                      "  naru partition elect orders\n  naru partition elect orders -p 3 --unclean --dry-run", elect);
  app->add_option("topic", elect->topic, "Name")->required();
  app->add_option("-p,--partition", elect->partition, "One partition only")
      ->check(between(0, 1'000'000))
      ->type_name("NUMBER");
  app->add_flag("--unclean", elect->unclean, "Where nobody can lead, any live replica: what only others hold is lost");
  app->add_flag("-y,--yes", elect->yes, "Do not ask before an unclean election");
  app->add_flag("--dry-run", elect->dry_run, "Only say what would be done");
  add_shared(app, elect);

  add_verify_commands();
}

// A number that says how much is done, or how much must have been for the run to mean something.
CLI::Option* add_amount(CLI::App* to, const std::string& name, int& into, int least, int most,
                        const std::string& what) {
  return to->add_option(name, into, what)
      ->check(between(least, most))
      ->type_name("NUMBER")
      ->group(name.starts_with("--min-") ? "What makes a run valid" : "Load");
}

void Parser::add_verify_commands() {
  std::shared_ptr<VerifyCommand> run;
  CLI::App* verify =
      add(app_, "verify", "Write and read under whatever happens, then say what was lost, duplicated or stale",
          "  naru verify --duration 30s                     against localhost:9092, with a topic of its own\n"
          "  naru verify -b kafka-1:9092 --duration 10m --history run.history --min-leader-changes 3\n"
          "  naru verify check run.history                  the verdict on a recorded run\n\n"
          "Any cluster that speaks Kafka's protocol will do. Kill brokers meanwhile: that is what it is for.\n"
          "Exit codes: 0 only if nothing was broken and the run shows something; 10 otherwise.",
          run);
  add_verify_options(verify, run);
  verify->require_subcommand(0, 1);
  verify->callback([this, run, verify] {
    if (verify->get_subcommands().empty()) chosen_ = *run;
  });
  add_verify_check(*verify);
  add_workload_command(*verify);
}

void Parser::add_verify_options(CLI::App* verify, const std::shared_ptr<VerifyCommand>& run) {
  add_duration(verify, "--duration", run->duration, "How long to write (30s)");
  add_duration(verify, "--settle", run->settle, "How long to wait in the end for what is under way (60s)");
  verify->add_option("--topic", run->topic,
                     "An existing topic, or a new name; without it one of its own, deleted after");
  verify->add_flag("--keep", run->keep, "Do not delete the topic");
  verify->add_option("-g,--group", run->group, "The consumer group; without it one of its own");
  verify->add_option("--history", run->history, "Record every event there, for `naru verify check`")->type_name("FILE");
  add_acks(verify, run->acks, "0, 1 or all: what producers ask for, and what is promised");
  add_amount(verify, "--partitions", run->partitions, 1, 10'000, "Partitions of a new topic")->capture_default_str();
  add_amount(verify, "--replicas", run->replicas, 1, 32'767, "Copies of each (as many as brokers, at most 3)");
  add_amount(verify, "--producers", run->producers, 1, 100, "Producers")->capture_default_str();
  add_amount(verify, "--consumers", run->consumers, 0, 100, "Members of the group")->capture_default_str();
  add_amount(verify, "--rate", run->rate, 1, 10'000'000, "Records a second, all producers together")
      ->capture_default_str();
  add_amount(verify, "--size", run->size, 1, 1'000'000, "Bytes of a record")->capture_default_str();
  add_amount(verify, "--min-acks", run->acks_min, 0, 10'000'000,
             "Acknowledgements a second (a tenth of the rate, at most 100)");
  add_amount(verify, "--min-leader-changes", run->leader_changes_min, 0, 1'000'000, "Changes of a leader (0)");
  add_shared(verify, run);
}

void Parser::add_verify_check(CLI::App& verify) {
  std::shared_ptr<VerifyCheckCommand> check;
  CLI::App* app = add(verify, "check", "The verdict on a recorded history",
                      "  naru verify check run.history\n  naru verify check - -o json < run.history", check);
  app->add_option("file", check->file, "A history as --history writes it; - is standard input")
      ->required()
      ->type_name("FILE");
  add_amount(app, "--min-acks", check->acks_min, 0, 10'000'000, "Acknowledgements a second (as the history asks)");
  add_amount(app, "--min-faults", check->faults_min, 0, 1'000'000, "Faults (as the history asks)");
  add_amount(app, "--min-leader-changes", check->leader_changes_min, 0, 1'000'000,
             "Changes of a leader (as the history asks)");
  add_shared(app, check);
}

void Parser::add_workload_command(CLI::App& verify) {
  std::shared_ptr<WorkloadCommand> workload;
  CLI::App* app =
      add(verify, "workload", "Write and read a topic until told to stop, then check what happened",
          "  scripts/failover-demo uses it; it takes `mark` and `stop` on standard input and answers in JSON lines",
          workload);
  app->add_option("topic", workload->topic, "Name")->required();
  app->add_option("-g,--group", workload->group, "The consumer group")->capture_default_str();
  app->add_option("--producers", workload->producers, "Producers")
      ->check(between(1, 100))
      ->type_name("NUMBER")
      ->capture_default_str();
  add_acks(app, workload->acks);
  app->add_option("--consumers", workload->consumers, "Members of it")
      ->check(between(0, 100))
      ->type_name("NUMBER")
      ->capture_default_str();
  app->add_option("--rate", workload->rate, "Records a second of each producer into each partition")
      ->check(between(1, 1'000'000))
      ->type_name("NUMBER")
      ->capture_default_str();
  app->add_option("--size", workload->size, "Bytes of a record")
      ->check(between(1, 1'000'000))
      ->type_name("NUMBER")
      ->capture_default_str();
  app->add_option("--history", workload->history, "Write every event there")->type_name("FILE");
  add_shared(app, workload, OutputOption::none);
}

void Parser::add_config_commands() {
  CLI::App* config = group("config", "Get, set, check and explain configuration");
  std::shared_ptr<ConfigCheckCommand> check;
  CLI::App* app = add(*config, "check", "Whether a broker would start with this file, and what it ignores",
                      "  naru config check server.properties", check);
  app->add_option("file", check->file, "A server.properties")->required()->type_name("FILE");
  std::shared_ptr<ConfigExplainCommand> explain;
  app = add(*config, "explain", "What a broker or topic property means", "  naru config explain min.insync.replicas",
            explain);
  app->add_option("property", explain->key, "Name")->required();
  std::shared_ptr<ConfigReferenceCommand> reference;
  add(*config, "reference", "Print all properties as Markdown", "", reference);
}

void Parser::add_shell_commands() {
  std::shared_ptr<CompletionCommand> completion;
  CLI::App* app =
      add(app_, "completion", "Print a completion script for a shell",
          "  source <(naru completion bash)\n  naru completion zsh > /usr/local/share/zsh/site-functions/_naru\n"
          "  naru completion fish > ~/.config/fish/completions/naru.fish",
          completion);
  app->add_option("shell", completion->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
  std::shared_ptr<ManCommand> man;
  add(app_, "man", "Print the manual page", "  naru man | man -l -", man);
}

void Parser::add_help() {
  CLI::App* help = app_.add_subcommand("help", "Help for a command, as its --help prints it");
  std::string examples = "Examples:\n  naru help\n  naru help topic create";
  for (const CheatSheet& sheet : cheat_sheets()) examples += fmt::format("\n  naru help {}", sheet.name);
  help->footer(examples);
  auto words = std::make_shared<std::vector<std::string>>();
  help->add_option("command", *words, "Its words; without any, what commands there are");
  help->callback([this, words] {
    over_ = help_of(*words);
    throw CLI::Success();
  });
}

// The options that know all their values, by what their help calls the value.
std::vector<std::string> choices_of(const std::string& value) {
  if (value == "FORMAT") return {"table", "wide", "json", "name", "help"};
  if (value == "CODEC") return {"none", "gzip", "snappy", "lz4", "zstd"};
  if (value == "ACKS") return {"0", "1", "all"};
  return {};
}

// An operand that knows all its values says so by nothing but them: "bash, zsh or fish".
std::vector<std::string> choices_listed(const std::string& what) {
  std::vector<std::string> found;
  std::string word;
  size_t at = 0;
  for (; at < what.size(); ++at) {
    const std::string_view rest = std::string_view(what).substr(at);
    const size_t between = rest.starts_with(", ") ? 2 : rest.starts_with(" or ") ? 4 : 0;
    if (between > 0) {
      found.push_back(std::exchange(word, {}));
      at += between - 1;
    } else if (std::islower(static_cast<unsigned char>(what[at])) != 0 || what[at] == '-') {
      word += what[at];
    } else {
      return {};
    }
  }
  found.push_back(word);
  return found.size() > 1 ? found : std::vector<std::string>();
}

CommandNode node_of(const CLI::App& app) {
  CommandNode node{.name = app.get_name(), .what = app.get_description(), .footer = app.get_footer()};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->nonpositional()) {
      node.operands.push_back({.name = option->get_name(true),
                               .what = option->get_description(),
                               .required = option->get_required(),
                               .repeats = option->get_items_expected_max() > 1,
                               .choices = choices_listed(option->get_description())});
      continue;
    }
    if (option->get_group().empty()) continue;  // not for people
    CommandOption shown{.what = option->get_description()};
    for (const std::string& name : option->get_snames()) shown.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) shown.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0) shown.value = option->get_type_name();
    shown.choices = choices_of(shown.value);
    node.options.push_back(std::move(shown));
  }
  for (const CLI::App* sub : app.get_subcommands(static_cast<std::function<bool(const CLI::App*)>>(nullptr)))
    node.commands.push_back(node_of(*sub));
  return node;
}

CommandNode Parser::tree() const {
  return node_of(app_);
}

std::string Parser::nearest_word(const CLI::App& app, const std::string& word) const {
  std::string found;
  size_t best = 3;  // further apart than that, it is a guess
  for (const CLI::App* sub : app.get_subcommands(static_cast<std::function<bool(const CLI::App*)>>(nullptr))) {
    const std::string& name = sub->get_name();
    const bool begins = name.starts_with(word) || word.starts_with(name);
    const size_t apart = common::config::edit_distance(name, word, best);
    const size_t distance = begins ? std::min<size_t>(apart, 2) : apart;  // "topik" is topic rather than top
    if (distance < best) {
      best = distance;
      found = name;
    }
  }
  return found;
}

std::string Parser::nearest_option(const CLI::App& app, const std::string& word) {
  std::string found;
  size_t best = 3;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      const size_t apart = common::config::edit_distance("--" + name, word, best);
      if (apart >= best) continue;
      best = apart;
      found = "--" + name;
    }
  }
  return found;
}

// CLI11 puts two empty lines between the groups of options, and one everywhere else.
std::string tidy(std::string help) {
  for (size_t at = help.find("\n\n\n"); at != std::string::npos; at = help.find("\n\n\n", at)) help.erase(at, 1);
  return help;
}

Exit Parser::help_of(const std::vector<std::string>& words) const {
  for (const CheatSheet& sheet : cheat_sheets()) {
    if (words.size() == 1 && words.front() == sheet.name) return print_out(sheet.lines) ? Exit::done : Exit::refused;
  }
  const CLI::App* app = &app_;
  std::string before;
  for (const std::string& word : words) {
    const auto all = app->get_subcommands([](const CLI::App*) { return true; });
    const auto found = std::ranges::find_if(all, [&](const CLI::App* sub) { return sub->check_name(word); });
    const std::string path = before.empty() ? app->get_name() : fmt::format("{} {}", before, app->get_name());
    if (found == all.end()) return no_such_command(*app, path, word);
    before = path;
    app = *found;
  }
  // Not app->help(): of the command line itself that is the help of what was chosen, and `help` was.
  const std::string path = before.empty() ? app->get_name() : fmt::format("{} {}", before, app->get_name());
  print_out(tidy(app->get_formatter()->make_help(app, path, CLI::AppFormatMode::Normal)));
  return Exit::done;
}

Exit Parser::no_such_command(const CLI::App& app, const std::string& path, const std::string& word) const {
  const std::string nearest = nearest_word(app, word);
  fmt::print(stderr, "{}: no such command: {}{}\ntry: {} --help\n", path, word,
             nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest), path);
  return Exit::usage;
}

Exit Parser::wrong_usage(const CLI::ParseError& error) {
  // The innermost command that was named is the one whose help helps.
  const CLI::App* app = &app_;
  std::string path = "naru";
  for (auto given = app->get_subcommands(); !given.empty(); given = app->get_subcommands()) {
    app = given.front();
    path += " " + app->get_name();
  }
  const std::vector<std::string> rest = app_.remaining(true);
  const bool names_commands = !app->get_subcommands(static_cast<std::function<bool(const CLI::App*)>>(nullptr)).empty();
  if (names_commands && !rest.empty() && !rest.front().starts_with('-'))
    return no_such_command(*app, path, rest.front());
  const auto option = std::ranges::find_if(rest, [](const std::string& word) { return word.starts_with('-'); });
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && option != rest.end()) {
    const std::string nearest = nearest_option(*app, option->substr(0, option->find('=')));
    fmt::print(stderr, "{}: no such option: {}{}\ntry: {} --help\n", path, *option,
               nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest), path);
    return Exit::usage;
  }
  fmt::print(stderr, "{}: {}\ntry: {} --help\n", path, error.what(), path);
  return Exit::usage;
}

tl::expected<Command, Exit> Parser::parse(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* app = &app_;
    std::string before;
    for (auto given = app->get_subcommands(); !given.empty(); given = app->get_subcommands()) {
      before += (before.empty() ? "" : " ") + app->get_name();
      app = given.front();
    }
    print_out(tidy(app->help(before, CLI::AppFormatMode::Normal)));
    return tl::unexpected(Exit::done);
  } catch (const CLI::Success&) {
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(wrong_usage(error));
  }
  if (over_) return tl::unexpected(*over_);
  if (!chosen_) return tl::unexpected(Exit::usage);
  return std::move(*chosen_);
}

}  // namespace

CommandNode command_tree() {
  return Parser().tree();
}

tl::expected<Command, Exit> parse_command_line(int argc, const char* const* argv) {
  return Parser().parse(argc, argv);
}

}  // namespace cli
