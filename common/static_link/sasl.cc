// Kerberos (Cyrus SASL) for naru_static: there is none. Its plugins are shared libraries, and Debian's archive asks for
// LDAP and SQL clients. librdkafka needs it for GSSAPI alone and brings PLAIN, SCRAM and OAUTHBEARER itself; who asks
// for GSSAPI gets this sentence as the error.
namespace {

constexpr int ok = 0;          // SASL_OK
constexpr int mechanism = -4;  // SASL_NOMECH
constexpr auto sentence = "GSSAPI (Kerberos) is not part of the statically linked naru";

}  // namespace

extern "C" {
int sasl_client_init(const void*) {
  return ok;
}
int sasl_client_new(const char*, const char*, const char*, const char*, const void*, unsigned, void** connection) {
  *connection = nullptr;
  return mechanism;
}
int sasl_client_start(void*, const char*, void**, const char**, unsigned*, const char**) {
  return mechanism;
}
int sasl_client_step(void*, const char*, unsigned, void**, const char**, unsigned*) {
  return mechanism;
}
int sasl_listmech(void*, const char*, const char*, const char*, const char*, const char**, unsigned*, int*) {
  return mechanism;
}
int sasl_getprop(void*, int, const void**) {
  return mechanism;
}
void sasl_dispose(void** connection) {
  *connection = nullptr;
}
const char* sasl_errdetail(void*) {
  return sentence;
}
const char* sasl_errstring(int, const char*, const char**) {
  return sentence;
}
}
