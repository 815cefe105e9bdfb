// DescribeAcls (key 29), versions 0-3. There is no authorizer: the answer is SECURITY_DISABLED, as Kafka's is without
// one. It is served because kafka-python tells a broker's release from this API's versions.
#include "kafka/describe_acls.h"

#include "broker/api/handler.h"
#include "broker/api/table.h"

namespace broker::api {
namespace {

using kafka::DescribeAclsRequest;
using kafka::DescribeAclsResponse;

Awaitable<DescribeAclsResponse> handle(RequestContext& /*ctx*/, DescribeAclsRequest /*request*/) {
  DescribeAclsResponse response;
  response.error_code = ErrorCode::security_disabled;
  response.error_message = "No Authorizer is configured.";
  co_return response;
}

}  // namespace

const ApiHandler describe_acls =
    make_handler<DescribeAclsRequest, DescribeAclsResponse, &handle>("DescribeAcls", {.min = 0, .max = 3});

}  // namespace broker::api
