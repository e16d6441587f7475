#if Metrics
  import Foundation
  import Logging
  import PrivateRedis
  import Testing

  @testable import AsyncRedisLock

  /// Compares the texts about metrics with the metrics that a locker makes.
  ///
  /// `make alerts` tests whether Prometheus accepts the rules and the dashboard.
  @Suite("The alerts, the dashboard and the article on metrics", .timeLimit(.minutes(2)))
  struct DashboardTests {
    private static let root = URL(filePath: #filePath).appending(path: "../../../..").standardized

    private func text(_ path: String) throws -> String {
      try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
    }

    /// The metrics registered by a locker that takes a lock, fails to take one, and loses one.
    private func registered() async throws -> [String: RegisteredMetrics.Metric] {
      let server = try RedisServer()
      defer { server.stop() }
      var instruments = Instruments()
      let metrics = RegisteredMetrics()
      instruments.metrics = metrics
      let reporter = Reporter(
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, label: nil,
        instruments: instruments)
      let locker = try await Locker(LockerConfiguration(url: server.url), reporter: reporter)
      let lock = try await locker.acquire("key", options: LockOptions(extend: .milliseconds(50)))
      try RedisClient(server)("DEL", "key")
      try await lock.waitUntilLost()
      await eventually { metrics.metrics["redis_lock_losses"] != nil }
      await locker.close()
      return metrics.metrics
    }

    /// The expressions of the dashboard, including those that fill its lists.
    private func dashboardExpressions() throws -> [String] {
      struct Dashboard: Decodable {
        struct Panel: Decodable {
          struct Target: Decodable { let expr: String }
          let targets: [Target]
        }
        struct Variables: Decodable {
          struct Variable: Decodable { let definition: String? }
          let list: [Variable]
        }
        let panels: [Panel]
        let templating: Variables
      }
      let dashboard = try JSONDecoder().decode(
        Dashboard.self, from: Data(text("Examples/Observability/dashboard.json").utf8))
      return dashboard.panels.flatMap(\.targets).map(\.expr)
        + dashboard.templating.list.compactMap(\.definition)
    }

    private func names(in text: String) -> Set<String> {
      Set(text.matches(of: /redis_lock_[a-z_]+/).map { String($0.output) })
    }

    @Test(
      "Alerts and dashboard query series that a locker makes, and the dashboard queries all of them"
    )
    func series() async throws {
      let metrics = try await registered()
      #expect(metrics.count > 10)
      let series = Set(metrics.flatMap { RegisteredMetrics.series(of: $0.key, $0.value.kind) })
      let alerts = names(in: try text("Examples/Observability/alerts.yml"))
      let dashboard = names(in: try dashboardExpressions().joined(separator: "\n"))
      #expect(alerts.count > 5 && alerts.isSubset(of: series), "\(alerts.subtracting(series))")
      #expect(dashboard.isSubset(of: series), "\(dashboard.subtracting(series))")
      for (name, metric) in metrics {
        let own = RegisteredMetrics.series(of: name, metric.kind)
        #expect(!dashboard.isDisjoint(with: own), "the dashboard lacks \(name)")
      }
    }

    @Test("Alerts and dashboard select series by existing labels and values")
    func labels() async throws {
      let metrics = try await registered()
      let expressions = try dashboardExpressions() + [text("Examples/Observability/alerts.yml")]
      let reasons = [
        "redis_lock_losses": LossReason.all.map { "\($0)" },
        "redis_lock_acquisition_failures": ["contended", "cancelled"]
          + [LockError.Code.timeout, .unreachable, .refused, .tooManyWaiters, .closed].map {
            "\($0)"
          },
      ]
      var count = 0
      for match in expressions.joined(separator: "\n").matches(
        of: /(redis_lock_[a-z_]+)\{([^}]+)\}/)
      {
        let name = String(match.1.replacing(/_(bucket|sum|count)$/, with: ""))
        let known = try #require(metrics[name], "\(name)").dimensions.keys
        for condition in match.2.matches(of: /([a-z]+)[!=~]+"([^"]*)"/) {
          count += 1
          let label = String(condition.1)
          #expect(known.contains(label) || label == "job", "\(match.0)")
          guard label == "reason" else { continue }
          for value in condition.2.split(separator: "|") {
            #expect(reasons[name]?.contains(String(value)) == true, "\(match.0)")
          }
        }
      }
      #expect(count > 20)
    }

    @Test(
      "The article on metrics lists exactly the metrics, with their kinds, series and labels")
    func article() async throws {
      let metrics = try await registered()
      let article = try text("Sources/AsyncRedisLock/AsyncRedisLock.docc/Monitoring.md")
      let table = article.matches(of: /\| `(redis_lock_[a-z_]+)` \| (counter|timer|meter) \|/)
      #expect(Set(table.map { String($0.1) }) == Set(metrics.keys))
      for row in table { #expect("\(metrics[String(row.1)]?.kind, default: "none")" == row.2) }

      let rows = article.matches(
        of: /\| `(redis_lock_[a-z_]+)`[^|]* \| (counter|histogram|gauge) \| \w+ \| (.*)\|/)
      #expect(rows.count == metrics.count)
      for row in rows {
        let isHistogram = row.2 == "histogram"
        let name = String(row.1.replacing(/_bucket$/, with: ""))
        let metric = try #require(metrics[name], "\(name)")
        #expect(isHistogram == (metric.kind == .timer), "\(name)")
        var labels = Set(row.3.matches(of: /`([a-z]+)`/).map { String($0.1) })
        if isHistogram { labels.remove("le") }
        #expect(labels.union(["label"]) == Set(metric.dimensions.keys), "\(name)")
      }
    }

    @Test("The article on metrics lists exactly the alerts, with their severities")
    func alerts() throws {
      let article = try text("Sources/AsyncRedisLock/AsyncRedisLock.docc/Monitoring.md")
      let told = article.matches(of: /\| `(RedisLock\w+)` \| (\w+) \|/).map { "\($0.1) \($0.2)" }
      let rules = try text("Examples/Observability/alerts.yml")
        .matches(of: /- alert: (\w+)[^-]*?(?:\n(?!      - alert)[^\n]*)*?severity: (\w+)/)
        .map { "\($0.1) \($0.2)" }
      #expect(told.count > 5 && told == rules)
      let tests = try text("Examples/Observability/alerts-test.yml")
      for rule in rules {
        let name = rule.split(separator: " ")[0]
        #expect(tests.contains("\"\(name)\"") || tests.contains("alertname: \(name)"), "\(name)")
      }
    }
  }
#endif
