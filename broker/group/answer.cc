#include <type_traits>

#include "broker/group/request.h"

namespace broker::group {
namespace {

Answer refuse(const JoinRequest& request, ErrorCode error) {
  JoinAnswer answer;
  answer.error = error;
  answer.member_id = request.member_id;
  return answer;
}
Answer refuse(const SyncRequest&, ErrorCode error) {
  SyncAnswer answer;
  answer.error = error;
  return answer;
}
Answer refuse(const HeartbeatRequest&, ErrorCode error) {
  HeartbeatAnswer answer;
  answer.error = error;
  return answer;
}
Answer refuse(const LeaveRequest&, ErrorCode error) {
  LeaveAnswer answer;
  answer.error = error;
  return answer;
}
Answer refuse(const CommitRequest& request, ErrorCode error) {
  CommitAnswer answer;
  answer.partitions.assign(request.partitions.size(), error);
  return answer;
}
Answer refuse(const FetchRequest&, ErrorCode error) {
  FetchAnswer answer;
  answer.error = error;
  return answer;
}
Answer refuse(const DescribeRequest&, ErrorCode error) {
  DescribeAnswer answer;
  answer.error = error;
  return answer;
}
Answer refuse(const ListRequest&, ErrorCode error) {
  ListAnswer answer;
  answer.error = error;
  return answer;
}
Answer refuse(const DeleteRequest&, ErrorCode error) {
  DeleteAnswer answer;
  answer.error = error;
  return answer;
}
Answer refuse(const DeleteOffsetsRequest&, ErrorCode error) {
  DeleteOffsetsAnswer answer;
  answer.error = error;
  return answer;
}

void replace_none(ErrorCode& code, ErrorCode error) {
  if (code == ErrorCode::none) code = error;
}

}  // namespace

Answer refusal(const Request& request, ErrorCode error) {
  return std::visit([error](const auto& r) { return refuse(r, error); }, request);
}

void fail_answer(Answer& answer, ErrorCode error) {
  std::visit(
      [error](auto& a) {
        using A = std::decay_t<decltype(a)>;
        if constexpr (std::is_same_v<A, CommitAnswer>) {
          for (ErrorCode& code : a.partitions) replace_none(code, error);
        } else if constexpr (std::is_same_v<A, DeleteOffsetsAnswer>) {
          a.error = error;
          a.partitions.clear();
        } else {
          replace_none(a.error, error);
        }
      },
      answer);
}

}  // namespace broker::group
