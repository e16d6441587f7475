#if CommandLineTool
  import AsyncRedisLock

  /// Checking the servers of a quorum.
  extension DoctorCommand {
    /// Checks each server, and all together; returns the exit status, too.
    ///
    /// - Throws: ``ToolFailure`` if these cannot be the servers of a quorum.
    func examine(
      quorum servers: Servers, key: String
    ) async throws -> (findings: [Finding], status: Int32) {
      try servers.validate()
      let delay = servers.restartDelay
      var reports: [QuorumReport] = []
      for configuration in servers.configurations {
        reports.append(await report(on: configuration, delay, key: key))
      }
      var findings = QuorumReport.findings(on: reports, restartDelay: delay)
      let majority = reports.count / 2 + 1
      if QuorumReport.usableCount(reports, delay) >= majority {
        findings.append(await trial(on: servers, key: key))
      }
      if reports.count(where: { $0.trouble == nil }) < majority,
        let trouble = reports.lazy.compactMap(\.trouble).first
      {
        return (findings, trouble.status)
      }
      return (findings, Self.status(of: findings))
    }

    private func report(
      on configuration: LockerConfiguration, _ delay: Duration, key: String
    ) async -> QuorumReport {
      var report = QuorumReport(name: "\(configuration.address)")
      do {
        let locker = try await Servers.connect(configuration)
        let replies = try await locker.ask([["INFO"], ["CONFIG", "GET", "appendfsync"]])
        let information = ServerInformation(replies[0])
        report.note(replies[0], replies[1], delay)
        report.findings += information?.ownFindings ?? []
        report.ahead = try await secondsAhead(locker)
        // Those about queues, a failover and the trial of a single server do not apply.
        report.findings += await examineOne(locker, configuration, information, key: key)
          .filter { $0.subject != "queue" }
        await locker.close()
      } catch {
        report.trouble =
          error as? ToolFailure ?? (error as? LockError).map { ToolFailure($0) }
          ?? ToolFailure(.unreachable, "\(error)")
      }
      return report
    }

    /// Takes a lock on all servers and gives it back.
    private func trial(on servers: Servers, key: String) async -> Finding {
      do {
        let locker = try await servers.connect()
        let ttl = servers.configurations[0].lockOptions.ttl
        let finding = await trial(locker, key: key, extension: ttl)
        await locker.close()
        return finding
      } catch {
        return Finding(.problem, "trial", "\(error)")
      }
    }
  }
#endif
