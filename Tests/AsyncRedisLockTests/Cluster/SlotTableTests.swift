import Testing

@testable import AsyncRedisLock

@Suite("The table of a cluster's slots", .timeLimit(.minutes(2)))
struct SlotTableTests {
  private let nodes = (1...3).map { LockerConfiguration.Address.tcp(host: "10.0.0.\($0)") }

  private func ranges(_ owners: [(ClosedRange<Int>, Int)]) -> [SlotTable.Range] {
    owners.map { SlotTable.Range(slots: $0.0, master: nodes[$0.1]) }
  }

  @Test("The table of slots takes over what a node tells, and names the slots that have moved")
  func applied() {
    var table = SlotTable()
    #expect(table.owner(of: 0) == nil)
    let first = ranges([(0...99, 0), (100...16383, 1)])
    #expect(table.apply(first, askedAt: 0).isEmpty, "none had an owner before")
    #expect(table.isComplete)
    #expect(table.owner(of: 99) == nodes[0] && table.owner(of: 100) == nodes[1])
    #expect(table.apply(ranges([(0...97, 0), (98...16383, 2)]), askedAt: 0) == Array(98...16383))
    #expect(table.masters == [nodes[0], nodes[2]])
  }

  @Test("An answer that was asked for before a redirection does not undo it, and a later one does")
  func olderAnswer() {
    var table = SlotTable()
    let all = ranges([(0...16383, 0)])
    _ = table.apply(all, askedAt: 0)
    let count = table.changeCount
    let isNews = table.moved(7, to: nodes[1])
    let isNewsAgain = table.moved(7, to: nodes[1])
    #expect(isNews && !isNewsAgain)
    #expect(table.apply(all, askedAt: count).isEmpty)
    #expect(table.owner(of: 7) == nodes[1])
    #expect(table.owner(of: 8) == nodes[0])
    #expect(table.apply(all, askedAt: table.changeCount) == [7])
    #expect(table.owner(of: 7) == nodes[0])
  }

  @Test("A slot that no node serves for the moment is asked for where it was")
  func unserved() {
    var table = SlotTable()
    _ = table.apply(ranges([(0...16383, 0)]), askedAt: 0)
    #expect(table.apply(ranges([(0...9, 1)]), askedAt: 0) == Array(0...9))
    #expect(table.owner(of: 10) == nodes[0])
  }

  @Test("The answer to CLUSTER SLOTS is read, also if a node does not know its own host")
  func read() throws {
    func entry(_ first: Int64, _ last: Int64, _ host: Reply, _ port: Int64) -> Reply {
      let replica: Reply = .array([.string("10.0.0.9"), .integer(7000), .string("id")])
      return .array([
        .integer(first), .integer(last), .array([host, .integer(port), .string("id")]), replica,
      ])
    }
    let answer = Reply.array([
      entry(0, 5, .string("10.0.0.2"), 6379), entry(6, 6, .null, 6380),
      entry(7, 8, .string(""), 6381), entry(9, 16383, .string("?"), 6382),
    ])
    #expect(
      try SlotTable.read(answer, from: nodes[0]) == [
        .init(slots: 0...5, master: nodes[1]),
        .init(slots: 6...6, master: .tcp(host: "10.0.0.1", port: 6380)),
        .init(slots: 7...8, master: .tcp(host: "10.0.0.1", port: 6381)),
        .init(slots: 9...16383, master: .tcp(host: "10.0.0.1", port: 6382)),
      ])
    let alone = Reply.error(ServerError(message: "ERR This instance has cluster support disabled"))
    #expect(
      try SlotTable.read(alone, from: nodes[0]) == [.init(slots: 0...16383, master: nodes[0])])
    for wrong in [
      Reply.integer(1), .null, .array([.integer(1)]), .array([entry(5, 4, .null, 1)]),
      .array([entry(0, 16384, .null, 1)]), .array([entry(0, 1, .null, 0)]),
      .array([entry(0, 1, .string("a b"), 1)]),
    ] {
      #expect(throws: TransportError.self, "\(wrong)") { try SlotTable.read(wrong, from: nodes[0]) }
    }
  }

  @Test(
    "The errors of a node that redirects are read",
    arguments: [
      ("MOVED 7 10.0.0.2:6379", "moved 7 10.0.0.2:6379"),
      ("ASK 7 10.0.0.2:6380", "ask 7 10.0.0.2:6380"),
      ("MOVED 7 ::1:6379", "moved 7 [::1]:6379"), ("MOVED 7 :6381", "moved 7 10.0.0.1:6381"),
      ("MOVED 7 ?:6381", "moved 7 10.0.0.1:6381"), ("MOVED 16384 10.0.0.2:6379", "none"),
      ("MOVED -1 10.0.0.2:6379", "none"), ("MOVED 7 10.0.0.2", "none"), ("MOVED 7", "none"),
      ("MOVED 7 a/b:6379", "none"), ("MOVED 7 10.0.0.2:0", "none"), ("TRYAGAIN x", "again"),
      ("CLUSTERDOWN Hash slot not served", "down"), ("ERR MOVED 7 10.0.0.2:6379", "none"),
      ("READONLY no", "none"),
    ])
  func redirection(message: String, meaning: String) {
    let text =
      switch Redirection(ServerError(message: message), from: nodes[0]) {
      case .moved(let slot, let address): "moved \(slot) \(address)"
      case .ask(let slot, let address): "ask \(slot) \(address)"
      case .tryAgain: "again"
      case .down: "down"
      case nil: "none"
      }
    #expect(text == meaning)
  }

  @Test("The slots are asked for once more if something changes while they are asked for")
  func refresh() {
    var refresh = ClusterRefresh()
    let isFirst = refresh.begin(asking: nodes[0], waiting: nil)
    #expect(isFirst)
    let preferred0 = refresh.takePreferred()
    #expect(preferred0 == nodes[0])
    let isSecond = refresh.begin(asking: nodes[1], waiting: { _ in })
    #expect(!isSecond)
    let first = refresh.end()
    #expect(first.waiting.count == 1 && first.repeats)
    let preferred1 = refresh.takePreferred()
    #expect(preferred1 == nodes[1])
    let repeats = refresh.end().repeats
    #expect(!repeats)
    let isThird = refresh.begin(asking: nil, waiting: { _ in })
    #expect(isThird)
    let closed = refresh.close()
    #expect(closed.count == 1)
    let repeatsClosed = refresh.end().repeats
    #expect(!repeatsClosed)
    let isLast = refresh.begin(asking: nil, waiting: nil)
    #expect(!isLast)
  }

  @Test("A fencing token of another server counts only if that has raised its counter")
  func fencesOfServers() {
    let fences = FenceCounter()
    #expect(fences.accept(10, isRaised: true, from: 1))
    #expect(fences.isRaised(at: 1) && !fences.isRaised(at: 2))
    #expect(!fences.accept(11, from: 2), "the counter there may have been behind")
    #expect(fences.accept(12, isRaised: true, from: 2))
    #expect(!fences.accept(13, from: 1), "nor is the first server trusted again")
    #expect(!fences.accept(12, isRaised: true, from: 1))
    #expect(fences.accept(14, isRaised: true, from: 1))
    #expect(fences.accept(15, from: 1))
  }

  @Test("A request that asks is sent with ASKING before it, and only then")
  func asking() throws {
    let request = Request([Command("GET", "k")], deadline: .now + .seconds(1)) { _ in }
    #expect(request.slot == nil)
    request.slot = 16383
    #expect(request.slot == 16383)
    let plain = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    #expect(encoded(request) == plain)
    request.beginAsking()
    #expect(encoded(request) == "*1\r\n$6\r\nASKING\r\n" + plain)
    request.isAsking = false
    #expect(encoded(request) == plain)
    // Nothing is left that would be for the next request.
    let empty = Request(deadline: .now + .seconds(1), command: { nil }) { _ in }
    empty.beginAsking()
    #expect(encoded(empty) == "")

    request.beginAsking()
    #expect(request.beginSending())
    var pipeline = InFlightRequests(operationTimeout: .seconds(1))
    pipeline.append(request, sentAt: .now)
    #expect(try pipeline.accept(.status("OK")) == nil)
    #expect(try pipeline.accept(.string("v"))?.answer.replies == [.string("v")])
    pipeline.append(request, sentAt: .now)
    let refusal = Reply.error(ServerError(message: "NOPERM no"))
    #expect(try pipeline.accept(refusal) == nil)
    #expect(
      try pipeline.accept(.error(ServerError(message: "MOVED 1 h:1")))?.answer.replies == [refusal])
    #expect(pipeline.isEmpty)
  }

  private func encoded(_ request: Request) -> String {
    var buffer = CommandBuffer()
    _ = request.encode(into: &buffer, question: 1)
    return unsafe buffer.withBytes(from: 0) { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
