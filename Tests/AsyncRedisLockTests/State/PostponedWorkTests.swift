import Testing

@testable import AsyncRedisLock

@Suite("What a connection has to give back later", .timeLimit(.minutes(2)))
final class PostponedWorkTests: Sendable {
  private let start = Instant.now
  private let done = Locked<[Int]>([])
  private let work = Locked(PostponedWork())

  /// Adds actions, the last of which is due first.
  private func add(_ count: Int) -> Bool {
    var isClosing = false
    for second in 1...count {
      let action: PostponedWork.Action = { self.done.withLock { $0.append(second) } }
      isClosing = work.withLock { $0.add(action, due: start + .seconds(count + 1 - second)) }
    }
    return isClosing
  }

  private func run(_ actions: [PostponedWork.Action]) -> [Int] {
    for action in actions { action() }
    return done.withLock { done in
      defer { done = [] }
      return done
    }
  }

  @Test("While a connection is open, an action is run when it is due, and only then")
  func due() {
    #expect(!add(3))
    #expect(!work.withLock { $0.beginTrial() })
    #expect(work.withLock { $0.takeAllOnSuccess(at: start) }.isEmpty)
    #expect(run(work.withLock { $0.takeDue(by: start + .seconds(2)) }) == [3, 2])
    #expect(run(work.withLock { $0.takeAll() }) == [1])
  }

  @Test(
    "A closing connection tries a hundred actions at a time, those first that have waited longest")
  func trials() {
    work.withLock { $0.close(by: start + .seconds(1)) }
    #expect(!work.withLock { $0.beginTrial() }, "there is nothing to try")
    #expect(add(250))
    for expected in [Array(151...250), Array(51...150), Array(1...50)] {
      #expect(work.withLock { $0.beginTrial() })
      #expect(!work.withLock { $0.beginTrial() }, "one at a time")
      #expect(run(work.withLock { $0.takeTrial(at: start) }) == expected.reversed())
    }
    #expect(!work.withLock { $0.beginTrial() })
    #expect(add(250))
    #expect(work.withLock { $0.takeTrial(at: start + .seconds(1)) }.count == 250, "time is up")
  }

  @Test("After one success, a closing connection tries all other actions, but not again at once")
  func success() {
    work.withLock { $0.close(by: start + .seconds(1)) }
    _ = add(1000)
    #expect(work.withLock { $0.takeAllOnSuccess(at: start) }.count == 1000)
    #expect(work.withLock { $0.takeAllOnSuccess(at: start) }.isEmpty)
    _ = add(1000)
    let soon = work.withLock { $0.takeAllOnSuccess(at: start + .milliseconds(9)) }
    #expect(soon.isEmpty, "100,000 a second")
    #expect(work.withLock { $0.takeAllOnSuccess(at: start + .milliseconds(10)) }.count == 1000)
  }
}
