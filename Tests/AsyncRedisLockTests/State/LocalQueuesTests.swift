import ChaosLog
import Testing

@testable import AsyncRedisLock

@Suite("The waiting line", .timeLimit(.minutes(2)))
struct LinkedQueueTests {
  private final class Element {
    let value: Int

    init(_ value: Int) { self.value = value }
  }

  @Test(
    "The waiting line is first come, first served, and can be left from anywhere",
    arguments: 0..<200)
  func order(seed: Int) {
    var generator = SplitMix(seed: UInt64(seed))
    var line = LinkedQueue<Element>()
    var expected: [(ticket: LinkedQueue<Element>.Ticket, value: Int)] = []
    var left: [LinkedQueue<Element>.Ticket] = []
    for value in 0..<200 {
      switch Int.random(in: 0..<4, using: &generator) {
      case 0:
        let first = line.popFirst()
        #expect(first?.value == expected.first?.value)
        if !expected.isEmpty { left.append(expected.removeFirst().ticket) }
      case 1 where !expected.isEmpty:
        let index = Int.random(in: expected.indices, using: &generator)
        let (ticket, value) = expected.remove(at: index)
        let removed = line.remove(ticket)
        #expect(removed?.value == value)
        left.append(ticket)
      case 2 where !left.isEmpty:
        // By now, another waiter may have its slot.
        let removed = line.remove(left[Int.random(in: left.indices, using: &generator)])
        #expect(removed == nil)
      default: expected.append((line.append(Element(value)), value))
      }
      #expect(line.count == expected.count)
      #expect(line.first?.value == expected.first?.value)
    }
    while let next = line.popFirst() { #expect(next.value == expected.removeFirst().value) }
    #expect(expected.isEmpty)
  }

  @Test("An element that is put in front comes first, and can leave like the others")
  func prepended() {
    var line = LinkedQueue<Element>()
    _ = line.prepend(Element(2))
    _ = line.append(Element(3))
    let ticket = line.prepend(Element(0))
    _ = line.prepend(Element(1))
    #expect(line.remove(ticket)?.value == 0)
    var rest: [Int] = []
    while let next = line.popFirst() { rest.append(next.value) }
    #expect(rest == [1, 2, 3])
    #expect(line.isEmpty)
  }

  @Test("A ticket of a former line removes no waiter from the next one")
  func ticketOfFormerLine() {
    var former = LinkedQueue<Element>()
    let ticket = former.append(Element(0))
    var next = LinkedQueue<Element>()
    _ = next.append(Element(1))
    #expect(next.remove(ticket) == nil)
    #expect(next.first?.value == 1)
  }
}

@Suite("The queues of a process", .timeLimit(.minutes(2)))
struct LocalQueuesTests {
  let keys = LockKeys(checked: ["key"])

  func makeLease(ttl: Duration = .seconds(3)) -> Lease {
    let state = LeaseState(ttl: ttl, extend: nil, sentAt: .now)
    return Lease(
      Claim(keys: ["key"], token: "token", ttl: ttl), numbers: 1..<20, state: state,
      minHold: .zero, clock: .system, origin: .asked, onLoss: { _ in })
  }

  /// Lets a waiter enter the queue behind a leader.
  func enter(_ queues: LocalQueues, _ options: LockOptions = .init()) throws -> LocalWaiter {
    guard case .wait(let waiter, _, _) = queues.enter(keys, options: options) else {
      throw LockError(.timeout, "the task need not wait")
    }
    return waiter
  }

  /// Releases a lease as the coordinator does.
  func handOn(_ queues: LocalQueues, _ lease: Lease) -> Lease? {
    var next: Lease?
    _ = lease.beginRelease(isAwaited: true)
    let isDone = queues.handOn(lease, keys) { options in
      lease.handedOn(to: options, isFencing: true, roundTrip: .seconds(1))
    } start: {
      next = $0
    }.isDone
    if !isDone { queues.end(lease, keys) }
    return next
  }

  @Test("The queues hand a lease on in order as often as allowed, then send one waiter to ask")
  func handsOn() async throws {
    let queues = LocalQueues(handoffLimit: 2, maxWaiters: nil)
    guard case .lead = queues.enter(keys, options: .init()) else {
      Issue.record("no task leads")
      return
    }
    var lease = makeLease()
    #expect(queues.settle(keys, lease) == nil, "no task waits")
    let waiters = try (0..<4).map { _ in try enter(queues) }
    #expect(queues.numbersWanted(keys) == 3)
    for index in 0..<2 {
      let next = try #require(handOn(queues, lease))
      guard case .take(let taken) = await waiters[index].turn(countedBy: nil), taken === next else {
        Issue.record("waiter \(index) did not get it")
        return
      }
      #expect(next.fencingToken == lease.fencingToken.map { $0 + 1 })
      lease = next
    }
    #expect(handOn(queues, lease) == nil, "the limit")
    guard case .lead = await waiters[2].turn(countedBy: nil) else {
      Issue.record("no task asks the server")
      return
    }
    #expect(!waiters[3].isOver)
    #expect(queues.passLead(keys) == nil)
    guard case .lead = await waiters[3].turn(countedBy: nil) else {
      Issue.record("the lead is not passed on")
      return
    }
    _ = queues.passLead(keys)
    guard case .lead = queues.enter(keys, options: .init()) else {
      Issue.record("something is left")
      return
    }
  }

  @Test("The queues pass over waiters that gave up, and send one to ask if it needs another lease")
  func passesOver() async throws {
    let queues = LocalQueues(handoffLimit: 9, maxWaiters: nil)
    _ = queues.enter(keys, options: .init())
    let lease = makeLease()
    _ = queues.settle(keys, lease)
    let gone = try enter(queues)
    _ = gone.give(.cancelled)
    let shorter = try enter(queues, LockOptions(ttl: .seconds(2)))
    #expect(handOn(queues, lease) == nil, "its keys would outlast the requested ttl")
    guard case .lead = await shorter.turn(countedBy: nil) else {
      Issue.record("no task asks the server")
      return
    }
  }

  @Test("The queues send one waiter to ask when the lease is lost")
  func lost() async throws {
    let queues = LocalQueues(handoffLimit: 9, maxWaiters: nil)
    _ = queues.enter(keys, options: .init())
    let lease = makeLease()
    _ = queues.settle(keys, lease)
    let waiter = try enter(queues)
    queues.end(makeLease(), keys)
    #expect(!waiter.isOver, "another lease has ended")
    queues.end(lease, keys)
    guard case .lead = await waiter.turn(countedBy: nil) else {
      Issue.record("no task asks the server")
      return
    }
  }

  @Test("The queues send one waiter to ask when the lease was lost before it was settled")
  func lostEarly() async throws {
    let queues = LocalQueues(handoffLimit: 9, maxWaiters: nil)
    _ = queues.enter(keys, options: .init())
    let waiter = try enter(queues)
    let lease = makeLease()
    #expect(lease.lose(.deleted))
    queues.end(lease, keys)
    #expect(!waiter.isOver, "another task leads")
    _ = queues.settle(keys, lease)
    guard case .lead = await waiter.turn(countedBy: nil) else {
      Issue.record("no task asks the server")
      return
    }
  }

  @Test(
    "A waiter that leaves after its queue has ended removes no other waiter from the next queue")
  func leavesLate() async throws {
    let queues = LocalQueues(handoffLimit: 9, maxWaiters: nil)
    _ = queues.enter(keys, options: .init())
    guard case .wait(let late, let ticket, _) = queues.enter(keys, options: .init()) else {
      Issue.record("the task need not wait")
      return
    }
    late.deadlinePassed()
    // The leader gives up, no waiter is left, and the queue ends before the late task runs.
    #expect(queues.passLead(keys) == nil)
    _ = queues.enter(keys, options: .init())
    let waiter = try enter(queues)
    queues.leave(keys, ticket)
    _ = queues.passLead(keys)
    guard waiter.isOver, case .lead = await waiter.turn(countedBy: nil) else {
      Issue.record("the new waiter is in no line")
      return
    }
  }

  @Test("After closing, the queues let no task in to wait in vain")
  func closed() async throws {
    let queues = LocalQueues(handoffLimit: 9, maxWaiters: nil)
    _ = queues.enter(keys, options: .init())
    let waiter = try enter(queues)
    queues.close()
    guard case .closed = await waiter.turn(countedBy: nil),
      case .closed = queues.enter(keys, options: .init())
    else {
      Issue.record("a task waits")
      return
    }
  }

  @Test("The queues count the leader among the waiters, and not the holder")
  func full() throws {
    let queues = LocalQueues(handoffLimit: 9, maxWaiters: 1)
    _ = queues.enter(keys, options: .init())
    guard case .full = queues.enter(keys, options: .init()) else {
      Issue.record("the leader waits, too")
      return
    }
    _ = queues.settle(keys, makeLease())
    _ = try enter(queues)
    guard case .full = queues.enter(keys, options: .init()) else {
      Issue.record("one waits")
      return
    }
  }
}
