import Dispatch
import FaultProxy
import Logging
import PrivateRedis
import Testing

@testable import AsyncRedisLock

@Suite("An inbox", .redisServer(), .timeLimit(.minutes(1)))
struct GrantChannelTests {
  private typealias Completion = @Sendable (GrantChannel.Whereabouts) -> Void

  private let client = RedisClient(.current)
  private let channel = "inbox:" + uniqueKey()
  /// The requests for the inbox's whereabouts, which a test answers.
  private let questions = Shared<[Completion]>([])

  /// The tokens of grants that have no listener.
  private let strays = Recorder<String>()

  private let time = HandFiredTime()

  private func makeInbox(at url: String = RedisServer.current.url) throws -> GrantChannel {
    let logger = Logger(label: "inbox") { _ in SwiftLogNoOpLogHandler() }
    let configuration = try LockerConfiguration(url: url)
    let (channel, machine) = (channel, HostMachine())
    return GrantChannel(clock: LockClock(time), reporter: Reporter(logger: logger, label: nil)) {
      isWaitedFor, handler in
      Subscriber(
        configuration, channels: [channel], over: machine.makeOpener(for: configuration),
        on: machine, loginGate: LoginGate(), isWaitedFor: isWaitedFor, handler: handler)
    } locate: { [questions] completion in
      questions.change { $0.append(completion) }
    } giveBack: { [strays] message in
      strays.record(message.token)
    }
  }

  /// Answers the next request for the inbox's whereabouts.
  private func locate(_ whereabouts: GrantChannel.Whereabouts) async {
    await eventually("a request for the inbox's whereabouts") { !questions.value.isEmpty }
    var answer: Completion?
    questions.change { answer = $0.isEmpty ? nil : $0.removeFirst() }
    answer?(whereabouts)
  }

  /// Breaks the inbox's connection, and waits until the inbox is connected again.
  private func reconnect() async throws {
    let former = try subscriberID()
    try client("CLIENT", "KILL", "TYPE", "pubsub")
    await eventually("the inbox connects again") {
      try subscriberID() != former && isSubscribed()
    }
  }

  private func subscriberID() throws -> String? {
    try client("CLIENT", "LIST", "TYPE", "pubsub").string.flatMap {
      $0.split(separator: " ").first.map(String.init)
    }
  }

  private func isSubscribed() throws -> Bool {
    try client("PUBSUB", "NUMSUB", channel).array?.last?.integer == 1
  }

  private func message(_ token: String, number: UInt64 = 5) -> String {
    "\(number) 1 \(token) 3:key"
  }

  @Test("An inbox whose whereabouts are answered oddly is asked for again after a pause each time")
  func oddWhereabouts() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let oddAnswers = Shared(0)
    proxy.setScript { message in
      guard message.direction == .replies, message.command?.name == "PUBSUB" else {
        return .forward
      }
      oddAnswers.change { $0 += 1 }
      return .replace(Array("*2\r\n$3\r\nodd\r\n:1\r\n".utf8))
    }
    let (holder, waiter) = (
      try await Locker(on: .current), try await Locker(url: proxy.url)
    )
    let lock = try await holder.acquire(uniqueKey())
    let start = ContinuousClock.now
    let wait = Task {
      try await waiter.acquire(lock.keys[0], options: LockOptions(timeout: .seconds(30)))
    }
    let count = 8
    await eventually { oddAnswers.value >= count }
    #expect(start.duration(to: .now) >= StoreFailure.transientPause * (count - 1))
    try await lock.release()
    // It polls, and gets the lock all the same.
    try await wait.value.release()
    await waiter.close()
  }

  @Test("An attempt to connect the inbox goes on, however often it is told to connect again")
  func reconnectDuringAttempt() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    let inbox = try makeInbox(at: proxy.url)
    defer { inbox.close() }
    let isTold = Shared(false)
    proxy.setScript { [weak inbox] message in
      if message.direction == .replies, message.command?.name == "SUBSCRIBE", !isTold.value {
        isTold.value = true
        for _ in 0..<5 { inbox?.reconnect(because: "the server is another one") }
        // The inbox may be reading the replies before this one just now.
        return .delay(.seconds(1))
      }
      return .forward
    }
    let isReady = Shared<Bool?>(nil)
    inbox.open { isReady.value = $0 }
    await locate(.here)
    await eventually("the inbox is ready") { isReady.value == true && inbox.isReady }
    #expect(isTold.value && proxy.connectionCount == 1)
  }

  @Test("An inbox counts as ready after one answer, however many polls go unheard meanwhile")
  func crowdOfUnheardPolls() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    let isReady = Shared<Bool?>(nil)
    inbox.open { isReady.value = $0 }
    await eventually("the first question is asked") { questions.value.count == 1 }
    for _ in 0..<100 { inbox.verify(isNewServer: false) }
    await locate(.here)
    #expect(isReady.value == true && inbox.isReady)
    #expect(questions.value.isEmpty)
  }

  @Test("An inbox whose whereabouts were refused is asked for again after a pause")
  func refusedWhereabouts() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    let isReady = Shared<Bool?>(nil)
    inbox.open { isReady.value = $0 }
    await locate(.refused("no"))
    await eventually("the refusal is told") { isReady.value == false }
    isReady.value = nil
    time.present.value += .seconds(9)
    inbox.open { isReady.value = $0 }
    #expect(isReady.value == false && questions.value.isEmpty)
    // By now, the user may have the right.
    time.present.value += .seconds(1)
    inbox.open { isReady.value = $0 }
    await locate(.here)
    await eventually("the inbox is ready") { isReady.value == true && inbox.isReady }
  }

  @Test("An answer about a former server does not make an inbox ready")
  func newServer() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    inbox.open { _ in }
    await eventually("the first question is asked") { questions.value.count == 1 }
    inbox.verify()
    await locate(.here)
    #expect(!inbox.isReady)
    await locate(.here)
    #expect(inbox.isReady)
  }

  @Test("An answer about a former connection does not make an inbox ready")
  func formerConnection() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    inbox.open { _ in }
    await eventually("the first question is asked") { questions.value.count == 1 }
    try await reconnect()
    await locate(.here)
    #expect(!inbox.isReady)
    await locate(.here)
    await eventually("the present connection is verified") { inbox.isReady }
  }

  @Test("A failed attempt to open an inbox does not end patient waits for it")
  func patience() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    let (hasty, patient) = (Recorder<Bool>(), Recorder<Bool>())
    inbox.open { hasty.record($0) }
    inbox.open(while: { true }) { patient.record($0) }
    let ended = Recorder<Bool>()
    inbox.open(while: { false }) { ended.record($0) }
    await eventually("the first question is asked") { questions.value.count == 1 }
    try await reconnect()
    #expect(hasty.values == [false] && patient.values.isEmpty)
    await locate(.here)
    await locate(.here)
    await eventually("the present connection is verified") { inbox.isReady }
    #expect(hasty.values == [false] && patient.values == [true])
    #expect(ended.values.isEmpty, "a wait that has ended is forgotten with the next attempt")
  }

  @Test("If a poll only overtakes a grant, the connection stays")
  func overtaken() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    let (told, isBusy, mayGoOn) = (Recorder<String>(), Shared(false), DispatchSemaphore(value: 0))
    defer { mayGoOn.signal() }
    inbox.open { _ in }
    await locate(.here)
    // A grant to a listener from before the connection might have been told on a former one.
    inbox.listen(for: "first") { notice in
      guard case .granted = notice else { return }
      isBusy.value = true
      mayGoOn.wait()
    }
    for token in ["overtaken", "last"] {
      inbox.listen(for: token) { if case .granted = $0 { told.record(token) } }
    }
    let connection = try subscriberID()
    try client("CONFIG", "RESETSTAT")
    try client("PUBLISH", channel, message("first"))
    await eventually { isBusy.value }
    // The message is under way, and the poll's answer is here.
    try client("PUBLISH", channel, message("overtaken"))
    inbox.noteUntoldGrant(of: "overtaken")
    mayGoOn.signal()
    await eventually("the message comes") { told.values == ["overtaken"] }
    await eventually("the probe is answered") { try RedisServer.current.calls("ping") == 1 }
    try client("PUBLISH", channel, message("last"))
    await eventually("the message behind the answer is read") { told.values.count == 2 }
    #expect(try subscriberID() == connection)
  }

  @Test("If a grant was told on a former connection, the present one stays")
  func grantOnFormerConnection() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    let told = Recorder<String>()
    for token in ["former", "present"] {
      inbox.listen(for: token) { if case .granted = $0 { told.record(token) } }
    }
    inbox.open { _ in }
    await locate(.here)
    try await reconnect()
    await locate(.here)
    await eventually("the inbox is ready again") { inbox.isReady }
    let connection = try subscriberID()
    try client("CONFIG", "RESETSTAT")
    inbox.noteUntoldGrant(of: "former")
    for count in 1...2 {
      try client("PUBLISH", channel, message("present"))
      await eventually("the message comes") { told.values.count == count }
    }
    #expect(try client("INFO", "commandstats").string?.contains("cmdstat_ping") == false)
    #expect(try subscriberID() == connection)
    // If a token has listened only on this connection, its untold grant costs the connection.
    inbox.listen(for: "untold") { _ in }
    inbox.noteUntoldGrant(of: "untold")
    await eventually("a new connection is made") { try subscriberID() != connection }
  }

  @Test("The late notice of a token that was left to another process is not given back")
  func retired() async throws {
    let inbox = try makeInbox()
    defer { inbox.close() }
    let (isBusy, mayGoOn) = (Shared(false), DispatchSemaphore(value: 0))
    defer { mayGoOn.signal() }
    for token in ["left", "lost"] { inbox.listen(for: token) { _ in } }
    inbox.open { _ in }
    await locate(.here)
    // So the notices might have been lost with the former connection.
    try await reconnect()
    await locate(.here)
    inbox.listen(for: "first") { notice in
      guard case .granted = notice else { return }
      isBusy.value = true
      mayGoOn.wait()
    }
    let connection = try subscriberID()
    try client("PUBLISH", channel, message("first"))
    await eventually { isBusy.value }
    // The notice is under way, and a poll has found the grant.
    try client("PUBLISH", channel, message("left"))
    for token in ["left", "lost"] {
      inbox.noteUntoldGrant(of: token)
      inbox.retire(token)
    }
    #expect(inbox.listenerCount == 3)
    mayGoOn.signal()
    await eventually("both are forgotten") { inbox.listenerCount == 1 }
    #expect(strays.values.isEmpty)
    #expect(try subscriberID() == connection)
  }

  @Test("The notice of a token that was left behind may come with the confirmation of the inbox")
  func retiredBeforeConfirmation() async throws {
    let proxy = try FaultProxy(to: .current)
    defer { proxy.stop() }
    proxy.setScript { message in
      message.direction == .replies && message.command?.name == "SUBSCRIBE"
        ? .delay(.milliseconds(200)) : .forward
    }
    let inbox = try makeInbox(at: proxy.url)
    defer { inbox.close() }
    inbox.listen(for: "left") { _ in }
    inbox.open { _ in }
    await eventually("the server has the subscription") { try isSubscribed() }
    try client("PUBLISH", channel, message("left"))
    inbox.noteUntoldGrant(of: "left")
    inbox.retire("left")
    #expect(inbox.listenerCount == 1)
    await eventually("it is forgotten") { inbox.listenerCount == 0 }
    #expect(strays.values.isEmpty)
  }
}
