import ChaosLog
import FaultProxy
import Testing

@testable import AsyncRedisLock

@Suite("Small parts", .timeLimit(.minutes(2)))
struct SmallPartsTests {
  @Test("Keys that only look the same are different, and have different hashes")
  func lookalikes() throws {
    let keys = try (0..<256).map { number in
      try LockKeys([
        (0..<8).map { number >> $0 & 1 == 0 ? "\u{E9}" : "e\u{301}" }.joined()
      ])
    }
    #expect(Set(keys).count == 256)
    // Two of 256 may meet by chance, but not many.
    #expect(Set(keys.map(\.hashValue)).count > 250)
    #expect(try LockKeys(["a", "b"]).hashValue != LockKeys(["ab"]).hashValue)
  }

  @Test("A script's answer counts only for the request whose number it has")
  func answers() throws {
    let (number, pair) = (Reply.integer(7), Reply.array([.integer(7), .string("x")]))
    #expect(try number.answer(to: 7) == .integer(1))
    #expect(try pair.answer(to: 7) == .string("x"))
    for reply in [number, pair, .string("x"), .null, .array([.integer(8)])] {
      #expect(throws: TransportError.self) { try reply.answer(to: 8) }
    }
  }

  @Test(
    "SHA-1 agrees with the vectors of FIPS 180-4",
    arguments: [
      ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
      ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
      ),
      (String(repeating: "a", count: 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
      (String(repeating: "a", count: 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
    ])
  func sha1(message: String, digest: String) {
    #expect(SHA1.hexadecimalDigest(of: Array(message.utf8)) == digest)
  }

  @Test("Reconnecting starts at once, slows down, and never waits for more than a second")
  func backoff() {
    var generator = SplitMix(seed: 7)
    var backoff = Backoff()
    #expect(backoff.pause(using: &generator) == .zero)
    var pauses: [Duration] = []
    for _ in 0..<1000 { pauses.append(backoff.pause(using: &generator)) }
    #expect(pauses[0] >= .milliseconds(5) && pauses[0] <= .milliseconds(10))
    #expect(pauses.allSatisfy { $0 <= .seconds(1) })
    #expect(pauses[500...].allSatisfy { $0 >= .milliseconds(500) })
    #expect(Set(pauses[500...]).count > 400, "the pauses have no jitter")
    backoff.reset()
    #expect(backoff.pause(using: &generator) == .zero)
    for _ in 0..<100 {
      #expect(backoff.pause(isWaitedFor: true, using: &generator) <= .milliseconds(250))
    }
  }

  @Test("A fencing token must grow, and must be drawn after the counter was raised")
  func fences() {
    let fences = FenceCounter()
    #expect(!fences.accept(5), "drawn from a counter that may have been lost")
    #expect(fences.accept(6, isRaised: true))
    #expect(fences.accept(7))
    #expect(!fences.accept(7))
    #expect(!fences.accept(3))
    fences.connectionChanged()
    #expect(!fences.accept(8))
    #expect(fences.accept(9, isRaised: true))
    #expect(fences.largest == 9)
  }

  @Test("A caller serves itself after several lone requests, but not always")
  func tempo() {
    var tempo = CallerRunsPolicy()
    func serve(_ count: Int) -> [Bool] {
      (0..<count).map { _ in
        let isAllowed = tempo.allowsCallerRun()
        tempo.sent(1, toBusyServer: false)
        return isAllowed
      }
    }
    #expect(serve(8).allSatisfy { !$0 })
    let served = serve(330)
    #expect(served.filter { !$0 }.count == 10, "the queue has to look for others now and then")
    tempo.sent(2, toBusyServer: false)
    #expect(serve(8).allSatisfy { !$0 } && serve(1) == [true])
    tempo.sent(1, toBusyServer: true)
    #expect(serve(8).allSatisfy { !$0 } && serve(1) == [true])
  }

  @Test("A caller with a slow server serves itself ever more rarely, until the server is quick")
  func slowTempo() {
    var tempo = CallerRunsPolicy()
    var gaps: [Int] = []
    for _ in 0..<12 {
      var gap = 0
      while !tempo.allowsCallerRun() {
        tempo.sent(1, toBusyServer: false)
        gap += 1
      }
      tempo.wasTooSlow()
      gaps.append(gap)
    }
    #expect(gaps[1] < 4 && gaps[8] >= 128 && gaps[11] <= 260)
    while !tempo.allowsCallerRun() { tempo.sent(1, toBusyServer: false) }
    tempo.wasQuick()
    tempo.wasTooSlow()
    tempo.sent(1, toBusyServer: false)
    #expect(tempo.isLonely)
  }

  @Test("A brief wait notices what is ready, and does not take longer than it should")
  func briefWait() throws {
    let (ours, theirs) = try FakeWire.pair()
    let (poller, stream) = (
      try SocketPoller(), SocketStream(adopting: FileDescriptor(adopting: theirs))
    )
    #expect(!poller.canRead(stream, within: 100))
    #expect(ours.write([1]) == 1)
    #expect(poller.canRead(stream, within: 100))
    let ready = poller.wait(for: stream, toWrite: true, until: .now + .seconds(60))
    #expect(ready.canRead && ready.canWrite && !ready.isWoken)
    poller.wake()
    #expect(poller.wait(for: nil, toWrite: false, until: .now + .seconds(60)).isWoken)
    #expect(!poller.wait(for: nil, toWrite: false, until: .now).isWoken, "the wake is forgotten")
  }

  @Test("An instant is on the standard library's continuous clock")
  func instant() {
    let origin = (Instant.now, ContinuousClock.now)
    let elapsed = (origin.0.duration(to: .now), origin.1.duration(to: .now))
    #expect(elapsed.0 >= .zero && elapsed.0 <= elapsed.1)
    let later = origin.0 + .milliseconds(1500)
    #expect(later > origin.0 && later - origin.0 == .milliseconds(1500))
    #expect(later - .milliseconds(1500) == origin.0 && later.duration(to: origin.0) < .zero)
  }

  @Test("A mailbox wakes its waiting worker, starts its stopped worker, and loses nothing")
  func mailbox() {
    let request = Request([], deadline: .now) { _ in }
    let repeatable = Request([], deadline: .now, kind: .release) { _ in }
    var refused: [Request] = []
    var mailbox = SubmissionQueue()
    var notices: [SubmissionQueue.WorkerCall] = []
    func add(_ request: Request) { notices.append(mailbox.add([request], refused: &refused)) }
    var contents: SubmissionQueue.Contents?
    func take() -> [Request] {
      var taken: [Request] = []
      contents = mailbox.take(&taken)
      return taken
    }

    add(request)
    add(request)
    var answers = [mailbox.beginWaiting(), mailbox.stop()]
    #expect(answers == [false, false], "there is mail")
    var counts = [take().count]
    answers = [mailbox.beginWaiting()]
    #expect(answers == [true])
    add(request)
    add(request)
    counts.append(take().count)
    #expect(counts == [2, 2])
    answers = [mailbox.stop()]
    #expect(answers == [true])
    #expect(notices == [.start, .none, .wake, .none])

    notices = [mailbox.reduce(to: .stopped)]
    answers = [mailbox.stop()]
    #expect(answers == [false], "the news of stopping would be lost")
    _ = take()
    add(request)
    add(repeatable)
    #expect(refused.count == 1 && refused.first === request)
    #expect(take().first === repeatable && contents?.openness == .stopped)
    notices = [mailbox.reduce(to: .closed), mailbox.reduce(to: .open)]
    add(repeatable)
    #expect(refused.count == 2)
    #expect(take().isEmpty && contents?.openness == .closed)
    answers = [mailbox.stop()]
    #expect(answers == [true])
  }
}
