// docs/configuration.md, printed from the table.
#include <map>

#include <fmt/format.h>

#include "common/config/config_load.h"

namespace common::config {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string default_text(const Property& property) {
  if (!property.default_text) return "not set";
  if (property.default_text->empty()) return "empty";
  if (*property.default_text == "9223372036854775807") return "no limit";
  return fmt::format("`{}`", *property.default_text);
}

std::string_view update_text(Update update) {
  switch (update) {
    case Update::at_restart:
      return "restart";
    case Update::per_broker:
      return "one broker, at once";
    case Update::cluster_wide:
      return "at once";
  }
  return {};
}

std::string doc_text(const Property& property) {
  return escaped(property.note.empty() ? std::string(property.doc)
                                       : fmt::format("{} *{}*", property.doc, property.note));
}

void used_rows(std::string& out, std::span<const Property> rows, bool with_update) {
  out += with_update ? "| property | default | may be | changes | meaning |\n|---|---|---|---|---|\n"
                     : "| property | default | may be | broker's default from | meaning |\n|---|---|---|---|---|\n";
  for (const Property& p : rows) {
    if (p.effect != Effect::used) continue;
    std::string fourth(update_text(p.update));
    if (!with_update) {
      fourth.clear();
      for (const Synonym& s : p.synonyms) fourth += fmt::format("{}`{}`", fourth.empty() ? "" : ", ", s.key);
    }
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", p.key, default_text(p), escaped(allowed_text(p)), fourth,
                       doc_text(p));
  }
}

void idle_rows(std::string& out, std::span<const Property> rows) {
  std::map<std::string_view, std::string> by_reason;
  for (const Property& p : rows) {
    if (p.effect != Effect::accepted) continue;
    std::string& keys = by_reason[p.note];
    keys += fmt::format("{}`{}`", keys.empty() ? "" : ", ", p.key);
  }
  for (const auto& [reason, keys] : by_reason) out += fmt::format("- {}: {}\n", reason, keys);
}

}  // namespace

std::string configuration_reference() {
  std::string out =
      "# Configuration\n\n"
      "Names, types and units are Apache Kafka's: a `server.properties` written for a KRaft broker starts a Naru "
      "broker. This\n"
      "page is printed from the table in `common/config` (`naru config reference`); a test compares the two.\n\n"
      "Where a value comes from, later ones winning: built-in default, the file (`naru start -c FILE`), variables\n"
      "`KAFKA_...` (`_` is a dot, `__` an underscore, `___` a dash) and `KAFKA_CFG_...` (`_` is a dot), `--set "
      "name=value`; then\n"
      "what was changed while running, as in Kafka: cluster-wide, for one broker, for one topic.\n\n"
      "An unknown name is reported once, with the nearest known one, and ignored. A wrong value stops the start with "
      "one\n"
      "message that names property, value and what is allowed. `naru config check FILE` says the same without "
      "starting.\n\n"
      "Where our defaults differ from Kafka's, the meaning says so in italics.\n\n"
      "## Broker\n\n";
  used_rows(out, broker_properties(), true);
  out += "\n`broker.id` is accepted as the older name of `node.id`.\n\n## Topic\n\n";
  used_rows(out, topic_properties(), false);
  out +=
      "\n## Accepted without effect\n\nThese are known, checked and described, and change nothing here:\n\n### "
      "Broker\n\n";
  idle_rows(out, broker_properties());
  out += "\n### Topic\n\n";
  idle_rows(out, topic_properties());
  return out;
}

}  // namespace common::config
