import ChaosLog
import PrivateRedis

extension Nemesis {
  /// Turns to a server of a quorum that may be troubled; false if there is none.
  ///
  /// Without a quorum, there is nothing to choose.
  func aim() -> Bool {
    guard case .quorum(let quorum) = stage else { return true }
    guard let number = quorum.choice.randomElement(using: &generator) else { return false }
    turn(to: quorum.servers[number], behind: quorum.proxies[number])
    return true
  }

  /// Stops some servers of a quorum, maybe too many.
  func stopServers() -> Bool {
    guard case .quorum(let quorum) = stage else { return false }
    let most = draw(0...2) == 0 ? quorum.servers.count : quorum.minorityCount
    let chosen = quorum.choice.shuffled(using: &generator).prefix(draw(1...most))
    let start = LogClock.now
    for number in chosen { quorum.servers[number].pause() }
    quorum.stopped.formUnion(chosen)
    let isOutage = quorum.stopped.union(quorum.minority ?? []).count > quorum.minorityCount
    repair(after: draw(30...profile.timing.ttl + 1000), concernsServer: false) { [self] in
      for number in chosen { quorum.servers[number].resume() }
      quorum.stopped.subtract(chosen)
      if isOutage { log.note(Episode(.outage, from: start, to: LogClock.now)) }
    }
    return true
  }

  /// Kills a minority of a quorum, and starts it again without data; false while another forgets, or is stopped.
  func killMinority() -> Bool {
    guard case .quorum(let quorum) = stage, quorum.minority == nil, quorum.stopped.isEmpty else {
      return false
    }
    let chosen = Set(
      quorum.servers.indices.shuffled(using: &generator).prefix(quorum.minorityCount))
    quorum.minority = chosen
    // By then, locks have ended that lack a vote of another server.
    let lead = profile.timing.ttl * 3
    for number in chosen {
      repair(after: lead + draw(0...500), concernsServer: false) { [self] in
        quorum.servers[number].kill()
        quorum.dead.insert(number)
        repair(after: draw(0...1000), concernsServer: false) {
          try quorum.servers[number].restart()
          quorum.dead.remove(number)
        }
      }
    }
    let end = lead + 1500 + QuorumStage.patience + profile.timing.ttl
    repair(after: end, concernsServer: false) { quorum.minority = nil }
    return true
  }
}
