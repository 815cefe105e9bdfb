#include "broker/group/service/group_service.h"
