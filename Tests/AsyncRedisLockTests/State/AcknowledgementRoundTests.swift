import Testing

@testable import AsyncRedisLock

@Suite("Rounds of acknowledgements", .timeLimit(.minutes(1)))
struct AcknowledgementRoundTests {
  private typealias Identity = PrimaryRun.Identity
  private let here = Identity(runID: "run", replicationID: "first")
  private var login: PrimaryRun { PrimaryRun(.success(here)) }

  private func round(_ replies: Reply..., on login: PrimaryRun? = nil) -> AcknowledgementRound {
    AcknowledgementRound(replies, on: login ?? self.login)
  }

  private func information(_ replicationID: String = "first") -> Reply {
    .string(
      "# Replication\r\nrole:master\r\nmaster_replid:\(replicationID)\r\nmaster_replid2:0\r\n")
  }

  private func error(_ text: String) -> Reply { .error(ServerError(message: text)) }

  @Test("A round counts for the operations of the same time of the same server as a primary")
  func verdicts() {
    let two = round(.status("OK"), .integer(2), information())
    let other = Identity(runID: "other", replicationID: "first")
    let later = Identity(runID: "run", replicationID: "second")
    #expect(two.verdict(for: here, needing: 2, inUse: here) == .acknowledged)
    #expect(two.verdict(for: here, needing: 1, inUse: other) == .acknowledged)
    #expect(two.verdict(for: here, needing: 3, inUse: here) == .tooFew(2))
    #expect(two.verdict(for: other, needing: 2, inUse: other) == .elsewhere)
    #expect(
      two.verdict(for: other, needing: 2, inUse: here) == .lost("the primary is another server"))
    #expect(
      two.verdict(for: later, needing: 2, inUse: later)
        == .lost("the primary was a replica meanwhile"))
  }

  @Test("The replies of a round are read by their types and their places")
  func replies() {
    #expect(
      round(.status("OK"), .integer(1), information("x"))
        == .counted(1, on: Identity(runID: "run", replicationID: "x")))
    let wrong: [[Reply]] = [
      [], [.status("OK")], [.status("OK"), .integer(1)],
      [.status("OK"), .status("OK"), .integer(1)],
      [.integer(1), information(), .status("OK")],
      [.status("OK"), .integer(1), .integer(1)],
      [.status("OK"), .integer(-1), information()],
      [.status("OK"), .string("1"), information()],
      [.status("OK"), .integer(1), .string("role:master")],
      [.status("OK"), .integer(1), .string("master_replid:")],
      [.status("QUEUED"), .integer(1), information()],
      [.status("OK"), .integer(1), information(), .null],
    ]
    for replies in wrong {
      #expect(AcknowledgementRound(replies, on: login) == .unintelligible, "\(replies)")
    }
    #expect(
      AcknowledgementRound([.status("OK"), .integer(1), information()], on: nil) == .unintelligible)
  }

  @Test("Errors that pass make a round void; others make all rounds impossible")
  func errors() {
    for text in [
      "READONLY You can't write", "NOREPLICAS Not enough", "LOADING x", "BUSY x",
      "UNBLOCKED force unblock from blocking operation, instance state changed",
    ] {
      guard case .void(let reason) = round(error(text), .integer(0), information()) else {
        Issue.record("\(text)")
        continue
      }
      #expect(reason == text)
    }
    #expect(
      round(.status("OK"), error("NOPERM no"), information())
        == .impossible(.refused(code: "NOPERM", message: "NOPERM no", isTransient: false)))
    #expect(
      round(error("OOM full"), .integer(0), information())
        == .impossible(.refused(code: "OOM", message: "OOM full", isTransient: false)))
    #expect(AcknowledgementRound(.timedOut) == .void(because: "no answer in time"))
    #expect(AcknowledgementRound(.closed) == .impossible(.closed))
    #expect(
      AcknowledgementRound(.tlsFailed("expired")) == .impossible(.tlsFailed("expired")))
  }

  @Test("WAIT never gets a zero, which would mean for ever")
  func milliseconds() {
    for (given, sent) in [(-5, "1"), (0, "1"), (1, "1"), (900, "900")] as [(Int64, String)] {
      let commands = AcknowledgementRound.commands(key: "k", replicas: 2, milliseconds: given)
      #expect(commands[1] == Command("WAIT", "2", sent))
    }
  }

  @Test("A server that does not tell its identity acknowledges nothing")
  func identities() {
    let server = Reply.string("# Server\r\nrun_id:abc\r\ntcp_port:1\r\n")
    #expect(
      (try? PrimaryRun([server, information()]).identity.get())
        == Identity(runID: "abc", replicationID: "first"))
    for replies in [
      [], [server], [server, .string("")], [.string("run_id:"), information()],
      [.null, information()], [server, .integer(1)],
    ] as [[Reply]] {
      guard case .failure(.refused(_, _, isTransient: false)) = PrimaryRun(replies).identity else {
        Issue.record("\(replies)")
        continue
      }
    }
    guard
      case .failure(.refused("BUSY", _, isTransient: true)) =
        PrimaryRun([error("BUSY x"), information()]).identity
    else {
      Issue.record("busy")
      return
    }
  }
}
