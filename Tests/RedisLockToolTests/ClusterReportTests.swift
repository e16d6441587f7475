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

    @Test("The doctor reports what only one of the nodes tells")
    func toldByOne() {
      func told(_ lines: [String], coverage: String = "no") -> [String: Finding] {
        levels(report(nodes), report(lines, from: "10.0.0.2", coverage: coverage))
      }
      var lines = nodes
      lines[1] += " [9000->-a]"
      #expect(
        told(lines)["moving"]?.text.hasPrefix("slot 9000 is on its way from 10.0.0.2") == true)
      #expect(
        told(nodes, coverage: "yes")["coverage"]?.text.hasPrefix(
          "cluster-require-full-coverage is yes on 10.0.0.2:7000: ") == true)
      lines = nodes
      lines[3] = "d 10.0.0.4:7000@17000 slave,fail? b 0 1 2 connected"
      #expect(told(lines)["failures"]?.text.contains("10.0.0.4:7000") == true)
      #expect(told(lines)["replicas"]?.text.contains("10.0.0.2:7000") == true)
      lines = nodes
      lines[1] = "b 10.0.0.2:7000@17000 master - 0 1 2 connected 8192-16382"
      #expect(
        told(lines)["slots"]?.text
          == "1 are served by no master, says 10.0.0.2:7000: no lock can be acquired on their keys")
      #expect(told(lines, coverage: "yes")["slots"]?.text.contains("no lock at all") == true)
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
      let status = try await ToolProcess.run(["status", "listed-0"], url: cluster.url([1]))
      #expect(status.status == 0 && status.output.contains("listed-0: held"), "\(status)")
      // The braces of this one are no hash tag.
      let braced = try await locker.acquire("a}b")
      let refused = try await ToolProcess.run(["release", "a}b"], url: cluster.url())
      #expect(refused.status == 1 && refused.errors.contains("--force"), "\(refused)")
      let forced = try await ToolProcess.run(["release", "--force", "a}b"], url: cluster.url())
      #expect(forced.status == 0 && forced.output.contains("a}b was held by"), "\(forced)")
      #expect(try await locker.inspect("a}b") == nil)
      withExtendedLifetime(braced) {}
      for lock in locks { #expect(try await lock.release() == .released) }
      await locker.close()
      try await expectTroublesFound(in: cluster)
    }

    /// Expects that the doctor reports what only the last master tells, and a slot without a master.
    private func expectTroublesFound(in cluster: PrivateCluster) async throws {
      for number in 0..<2 {
        try cluster.client(number)("CONFIG", "SET", "cluster-require-full-coverage", "no")
      }
      try cluster.client(2)("CLUSTER", "SETSLOT", "16383", "MIGRATING", cluster.ids[0])
      let warned = try await ToolProcess.run(["doctor"], url: cluster.url())
      #expect(warned.status == 0, "\(warned.output)")
      let last = "127.0.0.1:\(cluster.port(of: 2))"
      #expect(
        warned.output.contains("moving: slot 16383 is on its way from \(last)"), "\(warned.output)")
      #expect(
        warned.output.contains("coverage: cluster-require-full-coverage is yes on \(last): "),
        "\(warned.output)")
      try cluster.client(2)("CONFIG", "SET", "cluster-require-full-coverage", "no")
      for number in [2, 0, 1] { try cluster.client(number)("CLUSTER", "DELSLOTS", "16383") }
      let broken = try await ToolProcess.run(["doctor"], url: cluster.url())
      #expect(broken.status == 1, "\(broken.output)")
      #expect(
        broken.output.contains("slots: 1 are served by no master"), "\(broken.output)")
    }
  }
#endif
