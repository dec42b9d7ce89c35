// SPDX-License-Identifier: Apache-2.0
//
// What a live mount tells Prometheus, and what docs and examples make of it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/each_filesystem.h"
#include "tests/support/plain_files.h"
#include "tests/support/temp_tree.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLongTtlPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "tree"
kind = "tree"
match = ["units/*"]
ttl = "24h"
)";

// A port that nobody has now.
int free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  return ntohs(address.sin_port);
}

std::string source_file(const std::string& name) { return std::string(EBBFS_SOURCE_DIR) + name; }

// Names of metrics in `text`.
std::set<std::string> names_in_text(const std::string& text) {
  static const std::regex kName(R"(\b(ebbfs_[a-z_]+[a-z]|process_[a-z_]+[a-z])\b)");
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at) {
    names.insert(at->str());
  }
  return names;
}

// What is served there on this machine, without the header of the answer; "" when nothing is.
std::string get_page(int port, const std::string& where) {
  const Ran ran = shell("exec 3<>/dev/tcp/127.0.0.1/" + std::to_string(port) + "; printf 'GET " +
                        where + " HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3");
  const std::size_t end = ran.out.find("\r\n\r\n");
  return end == std::string::npos ? "" : ran.out.substr(end + 4);
}

class MetricsTest : public OnVolume {
 protected:
  void SetUp() override {
    port_ = free_port();
    ASSERT_NE(port_, 0);
    mount({.policy = kLongTtlPolicy,
           .arguments = {"--metrics", "127.0.0.1:" + std::to_string(port_)}});
    if (IsSkipped()) return;
    ASSERT_EQ(::mkdir(at("units").c_str(), 0777), 0);
  }
  std::string page() { return get_page(port_, "/metrics"); }
  // Values by name with labels, as they stand on the page.
  std::map<std::string, double> values() {
    std::map<std::string, double> all;
    std::istringstream lines(page());
    for (std::string line; std::getline(lines, line);) {
      const std::size_t space = line.rfind(' ');
      if (line.starts_with("#") || space == std::string::npos) continue;
      all[line.substr(0, space)] = std::strtod(line.c_str() + space, nullptr);
    }
    return all;
  }
  // Does a little of everything that is counted.
  void use() {
    ASSERT_EQ(shell("mkdir units/a && head -c 1M /dev/zero >units/a/f && cat units/a/f >/dev/null",
                    volume_->path())
                  .exit_code,
              0);
  }

  int port_ = 0;
};

TEST_F(MetricsTest, CountRemovalsByClassAndReason) {
  use();
  const std::string removals = R"(ebbfs_removals_total{class="tree",reason="request"})";
  EXPECT_EQ(values()[R"(ebbfs_removals_total{class="tree",reason="expire"})"], 0);
  EXPECT_FALSE(values().contains(removals));
  ASSERT_EQ(volume_->ebbctl("expire units/a").exit_code, 0);
  EXPECT_EQ(values()[removals], 1);
  EXPECT_EQ(values()[R"(ebbfs_removed_bytes_total{class="tree",reason="request"})"], 1 << 20);
}

TEST_F(MetricsTest, CountRefusalsOfQuotasByKindOfScope) {
  const std::string denials = R"(ebbfs_quota_denials_total{scope="unit"})";
  use();
  EXPECT_EQ(values()[denials], 0);
  ASSERT_EQ(volume_->ebbctl("quota set unit:units/a --bytes 1M").exit_code, 0);
  EXPECT_NE(shell("head -c 1M /dev/zero >units/a/g", volume_->path()).exit_code, 0);
  const double refused = values()[denials];
  EXPECT_GE(refused, 1);
  ASSERT_EQ(volume_->ebbctl("expire units/a").exit_code, 0);
  EXPECT_EQ(values()[denials], refused) << "it never falls";
}

TEST_F(MetricsTest, TimeEachRequestOnce) {
  use();
  // The last ones may be on their way.
  ASSERT_TRUE(eventually(
      [&] {
        const auto all = values();
        return all.at(R"(ebbfs_request_duration_seconds_count{op="create"})") ==
                   all.at(R"(ebbfs_requests_total{op="create"})") &&
               all.at(R"(ebbfs_request_duration_seconds_count{op="write"})") ==
                   all.at(R"(ebbfs_requests_total{op="write"})");
      },
      5s));
  const auto all = values();
  EXPECT_GT(all.at(R"(ebbfs_request_duration_seconds_sum{op="write"})"), 0);
  EXPECT_EQ(all.at(R"(ebbfs_request_duration_seconds_bucket{op="write",le="+Inf"})"),
            all.at(R"(ebbfs_requests_total{op="write"})"));
}

// fallocate goes to a worker.
TEST_F(MetricsTest, TimeRequestsThatAWorkerAnswers) {
  ASSERT_EQ(shell("mkdir units/a && fallocate -l 64k units/a/f && sync units/a/f", volume_->path())
                .exit_code,
            0);
  for (const std::string op : {"fallocate", "fsync"}) {
    const auto all_timed = [&] {
      auto all = values();
      const double came = all["ebbfs_requests_total{op=\"" + op + "\"}"];
      return came >= 1 && came == all["ebbfs_request_duration_seconds_count{op=\"" + op + "\"}"];
    };
    EXPECT_TRUE(eventually(all_timed, 5s)) << op;
  }
}

TEST_F(MetricsTest, HaveTheLabelsThatAreAllowedOnly) {
  use();
  ASSERT_EQ(volume_->ebbctl("expire units/a").exit_code, 0);
  static const std::regex kLabel(R"re(([a-z_]+)=")re");
  const std::set<std::string> allowed = {"class", "reason",   "op",   "scope",
                                         "le",    "quantile", "code", "method"};
  for (const auto& [name, value] : values()) {
    if (name.starts_with("exposer_")) continue;
    for (std::sregex_iterator at(name.begin(), name.end(), kLabel), end; at != end; ++at) {
      EXPECT_TRUE(allowed.contains((*at)[1].str())) << name;
    }
    EXPECT_EQ(name.find("units/a"), std::string::npos) << name;
    EXPECT_FALSE(std::isnan(value)) << name;
  }
}

TEST_F(MetricsTest, AreAllThatDocsRulesAndDashboardName) {
  use();
  std::set<std::string> served;
  for (const std::string& name : names_in_text(page())) {
    served.insert(name);
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
      if (name.ends_with(suffix)) served.insert(name.substr(0, name.rfind('_')));
    }
  }
  for (const char* file : {"/docs/metrics.md", "/examples/prometheus/ebbfs.rules.yml",
                           "/examples/prometheus/ebbfs.test.yml", "/examples/grafana/ebbfs.json"}) {
    const auto named = names_in_text(get(source_file(file)));
    EXPECT_GE(named.size(), 8U) << file;
    for (const std::string& name : named)
      EXPECT_TRUE(served.contains(name)) << file << ": " << name;
  }
}

TEST_F(MetricsTest, AreAllDocumented) {
  use();
  const auto named = names_in_text(get(source_file("/docs/metrics.md")));
  for (const std::string& name : names_in_text(page())) {
    const bool part = name.starts_with("ebbfs_request_duration_seconds_");
    EXPECT_TRUE(part || named.contains(name)) << name;
  }
}

TEST_F(MetricsTest, AreWhatPromtoolWants) {
  if (shell("command -v promtool").exit_code != 0) {
    GTEST_SKIP() << "needs promtool, which is in Debian's package prometheus";
  }
  use();
  const std::string file = "/tmp/ebbfs-metrics-" + std::to_string(port_);
  put(file, page());
  // The library's own are not ours.
  const Ran ran = shell("grep -v exposer_ " + file + " | promtool check metrics; rm " + file);
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_EQ(ran.out, "");
}

// A server of its own, which knows the alert rules and looks each second.
class PrometheusServer {
 public:
  explicit PrometheusServer(int scraped) : port_(free_port()) {
    put(tree_.path() / "prometheus.yml",
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "rule_files: ['" +
            source_file("/examples/prometheus/ebbfs.rules.yml") +
            "']\n"
            "scrape_configs:\n"
            "  - {job_name: ebbfs, static_configs: [{targets: ['127.0.0.1:" +
            std::to_string(scraped) + "']}]}\n");
    const std::string directory = tree_.path();
    const std::string command = "exec prometheus --config.file=" + directory +
                                "/prometheus.yml --storage.tsdb.path=" + directory +
                                "/data --web.listen-address=127.0.0.1:" + std::to_string(port_) +
                                " >" + directory + "/log 2>&1";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
  }
  ~PrometheusServer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  PrometheusServer(const PrometheusServer&) = delete;
  PrometheusServer& operator=(const PrometheusServer&) = delete;

  // The newest value of `metric`; "" when there is none.
  [[nodiscard]] std::string value(const std::string& metric) const {
    const auto answer =
        nlohmann::json::parse(get_page(port_, "/api/v1/query?query=" + metric), nullptr, false);
    const auto at = nlohmann::json::json_pointer("/data/result/0/value/1");
    return answer.contains(at) ? answer[at].get<std::string>() : "";
  }
  // How often each word is said of the health of the rules: "ok", "err", "unknown".
  [[nodiscard]] std::map<std::string, int> health_of_rules() const {
    std::map<std::string, int> found;
    const auto answer = nlohmann::json::parse(get_page(port_, "/api/v1/rules"), nullptr, false);
    const auto at = nlohmann::json::json_pointer("/data/groups/0/rules");
    if (!answer.contains(at)) return found;
    for (const auto& rule : answer[at]) ++found[rule["health"].get<std::string>()];
    return found;
  }
  [[nodiscard]] std::string log() const { return tree_.read_file("log"); }

 private:
  const int port_;
  TempTree tree_{"/tmp"};
  pid_t pid_ = -1;
};

TEST_F(MetricsTest, AreScrapedByAPrometheusServer) {
  if (shell("command -v prometheus").exit_code != 0) {
    GTEST_SKIP() << "needs prometheus, which is in Debian's package of that name";
  }
  use();
  const PrometheusServer server(port_);
  ASSERT_TRUE(eventually([&] { return server.value("ebbfs_enforcing") == "1"; }, 30s))
      << server.log();
  EXPECT_EQ(server.value("up"), "1");
  EXPECT_EQ(server.value("ebbfs_class_bytes"), std::to_string(1 << 20));
  EXPECT_NE(server.value("ebbfs_request_duration_seconds_count"), "");
  EXPECT_TRUE(eventually(
      [&] {
        const auto health = server.health_of_rules();
        return health.size() == 1 && health.contains("ok");
      },
      30s))
      << server.log();
}

TEST(AlertRules, PassTheirTests) {
  if (shell("command -v promtool").exit_code != 0) {
    GTEST_SKIP() << "needs promtool, which is in Debian's package prometheus";
  }
  const std::string directory = source_file("/examples/prometheus");
  const Ran checked = shell("promtool check rules ebbfs.rules.yml", directory);
  EXPECT_EQ(checked.exit_code, 0) << checked.out;
  const Ran tested = shell("promtool test rules ebbfs.test.yml", directory);
  EXPECT_EQ(tested.exit_code, 0) << tested.out;
}

}  // namespace
}  // namespace ebbfs::test
