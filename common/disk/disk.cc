#include "common/disk/disk.h"

namespace common::disk {

model::Unexpected storage_error(const IoError& error) {
  return model::fail(model::ErrorCode::kafka_storage_error, error.message);
}

}  // namespace common::disk
