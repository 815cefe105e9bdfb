#include "broker/group/service/record_codec.h"
