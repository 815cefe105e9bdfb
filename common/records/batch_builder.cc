#include "common/records/batch_builder.h"
