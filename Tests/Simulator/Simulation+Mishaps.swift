import AsyncRedisLock

/// Mishaps that happen at a time of their own, rather than with a message.
extension Simulation {
  func planMishaps() {
    let opening = weather.opening * 1_000_000
    for _ in 0..<scheduler.pick(4) {
      let time = Int64(scheduler.pick(opening))
      if weather.kills {
        scheduler.at(time, of: nil) { [self] in
          let index = scheduler.pick(processes.count)
          if scheduler.happens(600) {
            scheduler.note("process \(processes[index].id) stops")
            processes[index].stop(for: Int64(scheduler.pick(1_000_000_000)))
          } else {
            scheduler.note("process \(processes[index].id) dies")
            processes.remove(at: index).kill()
            addProcess()
          }
        }
      }
      if weather.breaks > 0 {
        scheduler.at(time, of: nil) { [self] in hangUp(1 + scheduler.pick(10)) }
      }
      if weather.failsOver {
        scheduler.at(time, of: nil) { [self] in
          redis.failOver(isSameProcess: scheduler.happens(400))
        }
      }
      if weather.forgets {
        let snapshot = time / 2
        var saved = redis.snapshot
        scheduler.at(snapshot, of: nil) { [self] in saved = redis.snapshot }
        scheduler.at(time, of: nil) { [self] in
          switch scheduler.pick(3) {
          case 0:
            scheduler.note("the server restarts without data")
            scheduler.count(.serverEmptied)
            redis.restart()
          case 1:
            scheduler.note("the server restarts with old data")
            scheduler.count(.serverSetBack)
            redis.restart(with: saved)
          default:
            scheduler.note("the server loses its counter")
            scheduler.count(.counterLost)
            redis.loseCounter()
          }
        }
      }
      if weather.jumpsForward || weather.jumpsBack {
        let isForward = weather.jumpsForward && (!weather.jumpsBack || scheduler.happens(500))
        // Unreleased keys last longer by the full amount. Such a key may belong to a dead process. Or it was set
        // after its request was given up, and outlived the period in which it is undone.
        let longest = weather.isPlain && scheduler.happens(500) ? 600_000_000 : 10_000_000
        let jump = 1000 + Int64(scheduler.pick(longest))
        let waitsForQueue = scheduler.happens(500)
        scheduler.at(time, of: nil) { [self] in
          setServerClock(by: isForward ? jump : -jump, whenQueued: waitsForQueue, patience: 500)
        }
      }
      if weather.closes {
        scheduler.at(time, of: nil) { [self] in
          close(processes[scheduler.pick(processes.count)], whenReleased: scheduler.happens(300))
        }
      }
      if weather.leaps {
        scheduler.at(time, of: nil) { [self] in
          let longest = scheduler.happens(500) ? 200_000_000 : 10_000_000_000
          leap(processes[scheduler.pick(processes.count)], by: Int64(scheduler.pick(longest)))
        }
      }
    }
  }

  /// Makes the server hang up on all clients, a few times in a row.
  private func hangUp(_ times: Int) {
    guard times > 0 else { return }
    scheduler.note("the server hangs up")
    scheduler.count(.serverHungUp)
    redis.hangUpAll()
    scheduler.at(scheduler.now + Int64(scheduler.pick(20_000_000)), of: nil) { [self] in
      hangUp(times - 1)
    }
  }

  /// Sets the server's clock when a lock is held or a waiter queues, or after this many ms without either.
  private func setServerClock(by microseconds: Int64, whenQueued: Bool, patience: Int) {
    let use = redis.use
    guard patience == 0 || (whenQueued ? use.isQueued : use.isHeld) else {
      return scheduler.at(scheduler.now + 1_000_000, of: nil) { [self] in
        setServerClock(by: microseconds, whenQueued: whenQueued, patience: patience - 1)
      }
    }
    scheduler.note("the server's clock jumps by \(microseconds / 1000) ms")
    scheduler.count(microseconds > 0 ? .serverClockForward : .serverClockBack)
    if use.isHeld { scheduler.count(.clockSetWhileHeld) }
    if use.isQueued { scheduler.count(.clockSetWhileQueued) }
    redis.setClock(by: microseconds)
  }

  /// Closes the locker of a process, which continues with another.
  private func close(_ process: SimulatedProcess, whenReleased: Bool) {
    scheduler.note(
      "process \(process.id) closes its locker" + (whenReleased ? " when all is released" : ""))
    if holdings.contains(where: { $0.attempt.process === process && $0.lock?.isHeld == true }) {
      scheduler.count(.closedWhileHeld)
    }
    if attempts.contains(where: { $0.process === process && $0.isWaiting }) {
      scheduler.count(.closedWhileWaiting)
    }
    process.renewLocker(whenReleased: whenReleased)
  }

  /// Makes the clock of a process jump forward.
  private func leap(_ process: SimulatedProcess, by duration: Int64) {
    scheduler.note("the clock of process \(process.id) jumps by \(duration / 1_000_000) ms")
    let held = holdings.filter { $0.attempt.process === process && $0.lock?.isHeld == true }
    if !held.isEmpty { scheduler.count(.clockJumpedWhileHeld) }
    let waiting = attempts.filter { $0.process === process && $0.isWaiting }
    if !waiting.isEmpty { scheduler.count(.clockJumpedWhileWaiting) }
    process.jump(by: duration)
    for attempt in waiting { checkTime(of: attempt) }
    for holding in held where holding.lock?.isHeld == false { expectToBeTold(holding.attempt) }
  }
}
