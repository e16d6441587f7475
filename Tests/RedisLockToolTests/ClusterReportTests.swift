#if CommandLineTool
  import AsyncRedisLock
  import Foundation
  import PrivateRedis
  import Testing

  @testable import RedisLockTool

  @Suite("A cluster that redis-lock doctor looks at", .timeLimit(.minutes(2)))
  struct ClusterReportTests {
    private let nodes = [
      "a 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-8191",
      "b 10.0.0.2:7000@17000,host master - 0 1 2 connected 8192-16383",
      "c 10.0.0.3:7000@17000 slave a 0 1 1 connected",
      "d 10.0.0.4:7000@17000 slave b 0 1 2 connected",
    ]

    private func report(_ lines: [String], from host: String = "10.0.0.1", coverage: String = "no")
      -> ClusterReport
    {
      ClusterReport(
        .tcp(host: host, port: 7000),
        [
          .string(lines.joined(separator: "\n")),
          .array([.string("cluster-require-full-coverage"), .string(coverage)]),
        ])
    }

    private func levels(_ reports: ClusterReport...) -> [String: Finding] {
      Dictionary(
        uniqueKeysWithValues: ClusterReport.findings(on: reports).map { ($0.subject, $0) })
    }

    @Test("The doctor judges a cluster by what its nodes say")
    func judged() {
      let good = levels(report(nodes), report(nodes, from: "10.0.0.2"))
      #expect(good.mapValues(\.level) == ["slots": .fine, "nodes": .fine])
      #expect(good["slots"]?.text == "2 masters and 2 replicas serve all 16384")

      var lines = nodes
      lines[1] = "b 10.0.0.2:7000@17000 master - 0 1 2 connected 8192-16382"
      #expect(levels(report(lines))["slots"]?.level == .problem)
      #expect(
        levels(report(lines, coverage: "yes"))["slots"]?.text.contains("no lock at all") == true)
      #expect(levels(report(nodes, coverage: "yes"))["coverage"]?.level == .warning)
      let torn = levels(report(nodes), report(lines, from: "10.0.0.2"))
      #expect(torn["nodes"]?.text.contains("for slot 16383") == true)

      lines = nodes
      lines[0] += " [5->-b] [6-<-b] [7->-b]"
      #expect(levels(report(lines))["moving"]?.text.hasPrefix("slot 5 is on its way") == true)
      #expect(levels(report(lines))["moving"]?.text.contains("1 others") == true)

      lines = nodes
      lines[3] = "d 10.0.0.4:7000@17000 slave,fail b 0 1 2 disconnected"
      #expect(levels(report(lines))["failures"]?.text.contains("10.0.0.4:7000") == true)
      #expect(levels(report(lines))["replicas"]?.text.contains("10.0.0.2:7000") == true)

      let silent = ClusterReport(.tcp(host: "10.0.0.2", port: 7000), trouble: "refused")
      #expect(levels(report(nodes), silent)["nodes"]?.level == .warning)
      #expect(levels(silent)["cluster"]?.level == .warning)
    }

    @Test("A line about a node that makes no sense is left out")
    func nonsense() {
      for line in ["", "x", "a b c d e f g h", "a h:1 master - 0 0 1 connected"] {
        #expect(report([line]).nodes.isEmpty, "\(line)")
      }
      let odd = report(["a :7000@17000 myself,master - 0 0 1 connected 5 9-8 x 20000 [y"])
      #expect(odd.nodes.first?.slots == [5...5])
      #expect(odd.nodes.first?.address == .tcp(host: "10.0.0.1", port: 7000))
    }

    @Test("The commands work in a cluster, and the doctor finds what is wrong with its slots")
    func real() async throws {
      let cluster = try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
          continuation.resume(with: Result { try PrivateCluster(hasReplicas: false) })
        }
      }
      defer { cluster.stop() }
      for url in [cluster.url(), cluster.url([1], scheme: "redis")] {
        let outcome = try await ToolProcess.run(["doctor"], url: url)
        #expect(outcome.status == 0, "\(outcome.output)")
        #expect(outcome.output.contains("slots: 3 masters and 0 replicas serve all 16384"))
        #expect(outcome.output.contains("nodes: 3 agree"))
        #expect(outcome.output.contains("trial: a lock was taken"))
        #expect(outcome.output.contains("permissions: all that"))
      }
      let locker = try await Locker(url: cluster.url())
      let keys = (0..<20).map { "listed-\($0)" }
      var locks: [Lock] = []
      for key in keys { locks.append(try await locker.acquire(key)) }
      let list = try await ToolProcess.run(["list"], url: cluster.url())
      #expect(keys.allSatisfy(list.output.contains), "\(list.output)")
      let run = try await ToolProcess.run(
        ["run", "--record-for", "1m", "other", "--", "true"], url: cluster.url())
      #expect(run.status == 0, "\(run.output)")
      for lock in locks { #expect(try await lock.release() == .released) }
      await locker.close()
    }
  }
#endif
