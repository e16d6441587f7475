#if CommandLineTool
  import AsyncRedisLock

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Asking the servers around the one that keeps the locks.
  extension DoctorCommand {
    private typealias Address = LockerConfiguration.Address
    private typealias Peer = LockerConfiguration.Peer
    /// A server's answer, and when it came.
    private typealias Answer = (
      result: Result<LockerConfiguration.PeerAnswer, LockError>, time: Date
    )

    /// Checks sentinels, replicas, certificates and clocks; `information` is that of the primary.
    func examineServers(
      of configuration: LockerConfiguration, _ locker: Locker, _ information: ServerInformation?
    ) async throws -> [Finding] {
      var findings: [Finding] = []
      var (certificates, clocks) = (CertificateReport(), ClockReport())
      var primary: Address? = configuration.address
      if case .sentinels(let sentinels, let name) = configuration.address.kind {
        let questions = SentinelReport.questions(about: name)
        let answers = await Self.ask(sentinels.map { Peer.sentinel($0) }, questions, configuration)
        let reports = zip(sentinels, answers).map { sentinel, answer in
          switch answer.result {
          case .success(let found):
            certificates.note(found.certificate, of: "sentinel \(sentinel)")
            clocks.note(
              ClockReport.milliseconds(found.replies.last), of: "sentinel \(sentinel)",
              after: found.roundTrip, at: answer.time)
            return SentinelReport(sentinel, found.replies)
          case .failure(let error): return SentinelReport(sentinel, trouble: error.message)
          }
        }
        findings += SentinelReport.findings(on: reports, primary: name)
        primary = SentinelReport.primary(of: reports)
        let limits = try await locker.ask(MinimumOfReplicas.questions)
        if let limit = MinimumOfReplicas(limits) { findings.append(limit.finding) }
      }
      if locker.isInCluster {
        return findings + (try await examineCluster(of: configuration, locker))
      }
      if configuration.tls != nil, let primary {
        let answer = await Self.ask([.server(primary)], [], configuration)[0]
        certificates.note(try? answer.result.get().certificate, of: nil)
      }
      if let information, information["role"] == "master" {
        let replicas = information.replicas
        let finding = Replica.finding(
          on: replicas, needing: configuration.replicaAcknowledgements)
        if let finding { findings.append(finding) }
        let peers = replicas.map { Peer.server($0.address) }
        for (replica, answer) in zip(replicas, await Self.ask(peers, [["TIME"]], configuration)) {
          // Its address may mean nothing here, for example in a container.
          guard case .success(let found) = answer.result else { continue }
          certificates.note(found.certificate, of: "replica \(replica.address)")
          clocks.note(
            ClockReport.milliseconds(found.replies.first), of: "replica \(replica.address)",
            after: found.roundTrip, at: answer.time)
        }
      }
      return findings + certificates.findings + [clocks.finding].compactMap(\.self)
    }

    /// Checks the nodes of a cluster, their certificates and clocks.
    private func examineCluster(
      of configuration: LockerConfiguration, _ locker: Locker
    ) async throws -> [Finding] {
      var (certificates, clocks) = (CertificateReport(), ClockReport())
      let nodes = locker.clusterMasters
      let answers = await Self.ask(
        nodes.map { Peer.server($0) }, ClusterReport.questions + [["TIME"]], configuration)
      let reports = zip(nodes, answers).map { node, answer in
        switch answer.result {
        case .success(let found):
          certificates.note(found.certificate, of: "node \(node)")
          clocks.note(
            ClockReport.milliseconds(found.replies.last), of: "node \(node)",
            after: found.roundTrip, at: answer.time)
          return ClusterReport(node, found.replies)
        case .failure(let error): return ClusterReport(node, trouble: error.message)
        }
      }
      return ClusterReport.findings(on: reports) + certificates.findings
        + [clocks.finding].compactMap(\.self)
    }

    /// Asks all servers at once; the answers are in their order.
    private static func ask(
      _ peers: [Peer], _ commands: [[String]], _ configuration: LockerConfiguration
    ) async -> [Answer] {
      await withTaskGroup(of: (Int, Answer).self) { group in
        for (place, peer) in peers.enumerated() {
          group.addTask {
            do throws(LockError) {
              let answer = try await configuration.ask(peer, commands)
              return (place, (.success(answer), .now))
            } catch {
              return (place, (.failure(error), .now))
            }
          }
        }
        var answers: [Int: Answer] = [:]
        for await (place, answer) in group { answers[place] = answer }
        return peers.indices.compactMap { answers[$0] }
      }
    }
  }
#endif
