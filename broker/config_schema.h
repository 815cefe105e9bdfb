// What the controller asks about configuration keys, answered from the one table of properties. Immutable; thread-safe.
#pragma once
#include "controller/metadata/options.h"

namespace broker {

class TableSchema final : public controller::metadata::ConfigSchema {
 public:
  [[nodiscard]] common::model::Result<void> validate(const controller::metadata::ConfigResource& resource,
                                                     std::string_view key, std::string_view value) const override;
  [[nodiscard]] common::model::Result<void> validate_together(
      const controller::metadata::ConfigResource& resource,
      const std::map<std::string, std::string, std::less<>>& values) const override;
  [[nodiscard]] std::string canonical(controller::metadata::ResourceType type, std::string_view key,
                                      std::string_view value) const override;
  [[nodiscard]] bool is_list(controller::metadata::ResourceType type, std::string_view key) const override;
  [[nodiscard]] std::optional<std::string> default_value(controller::metadata::ResourceType type,
                                                         std::string_view key) const override;
};

}  // namespace broker
