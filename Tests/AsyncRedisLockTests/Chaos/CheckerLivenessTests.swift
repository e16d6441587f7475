import ChaosLog
import Foundation
import Testing

/// Shows that the check of the chaos soak notices calls that hang and updates that the registers lost.
@Suite(.timeLimit(.minutes(5))) struct CheckerLivenessTests {
  private let first = HandMade.holding(1, from: 100, to: 200)

  // MARK: Gaps

  @Test func `A key that nobody held for too long is found`() {
    let next = HandMade.holding(2, invoked: 150, from: 2750, to: 2800)
    #expect(HandMade.findings([first, next]) == [.gap])
    let sooner = HandMade.holding(2, invoked: 150, from: 2690, to: 2750)
    #expect(HandMade.findings([first, sooner]) == [])
  }

  @Test func `A key that nobody waited for may be free`() {
    let next = HandMade.holding(2, invoked: 9000, from: 9010, to: 9100)
    #expect(HandMade.findings([first, next]) == [])
  }

  @Test func `An outage explains a gap as long as itself and what it costs`() {
    let next = HandMade.holding(2, invoked: 150, from: 5100, to: 5200)
    let outage = HandMade.episode(.outage, from: 300, to: 300)
    let longer = HandMade.episode(.outage, from: 300, to: 300 + 1000)
    #expect(HandMade.findings([first, next], [outage]) == [.gap])
    #expect(HandMade.findings([first, next], [longer]) == [])
  }

  // MARK: Calls

  @Test func `A call that has not returned is found, unless its process was killed`() {
    let hung = HandMade.attempt(from: 100, to: 0)
    #expect(HandMade.findings([hung]) == [.late])
    let kill = HandMade.episode(.kill, from: 200, to: 200, process: 7)
    #expect(HandMade.findings([hung], [kill]) == [])
  }

  @Test func `A release that has not returned is found`() {
    var hung = first
    hung.released = 0
    #expect(HandMade.findings([hung]) == [.late])
  }

  @Test func `A call that returned too late is found, unless its process did not run`() {
    var late = HandMade.attempt(from: 100, to: 701)
    late.deadline = .milliseconds(600)
    #expect(HandMade.findings([late]) == [.late])
    let stall = HandMade.episode(.stall, from: 300, to: 310, process: 7)
    #expect(HandMade.findings([late], [stall]) == [])
    let another = HandMade.episode(.stall, from: 300, to: 310, process: 8)
    #expect(HandMade.findings([late], [another]) == [.late])
  }

  // MARK: Registers

  @Test func `An update that was lost is found`() {
    var history = History()
    var update = first
    update.guarded = .done
    update.twin = .done
    history.attempts = [update]
    history.registers = [1]
    history.twins = [0]
    #expect(Checker(history, HandMade.limits).findings == [])
    #expect(Checker(history, HandMade.limits).lostTwinUpdates == 1)
    history.registers = [0]
    #expect(Checker(history, HandMade.limits).findings.map(\.kind) == [.lostUpdate])
    #expect(Checker(history, HandMade.limits).lostUpdates == 1)
    history.registers = [2]
    #expect(Checker(history, HandMade.limits).findings.map(\.kind) == [.lostUpdate])
  }

  @Test func `An update by a process that was killed may or may not be there`() {
    var history = History()
    var update = first
    update.guarded = .begun
    history.attempts = [update]
    for value in [UInt64(0), 1] {
      history.registers = [value]
      #expect(Checker(history, HandMade.limits).findings == [])
    }
  }

  @Test func `A run in which no unguarded update was lost proves nothing`() {
    var history = History()
    history.twins = [0]
    #expect(Checker(history, HandMade.limits).blindnessFindings.map(\.kind) == [.blindCheck])
    var update = first
    update.twin = .done
    history.attempts = [update]
    #expect(Checker(history, HandMade.limits).blindnessFindings == [])
  }

  // MARK: The log

  @Test func `What was written is what is read`() throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "chaos-log-\(UUID().uuidString)").path(percentEncoded: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let log = try ChaosLog(creating: path, capacity: 2)
    let other = try ChaosLog(opening: path)
    var attempt = HandMade.holding(5, from: 10, to: 20, key: 2, process: 99)
    attempt.task = 3
    attempt.waits = false
    attempt.isOneOfTwo = true
    let slot = try #require(log.begin(attempt))
    other.set(.fence, of: slot, to: 5)
    other.setOnce(.releaseCalled, of: slot, to: 6)
    other.setOnce(.releaseCalled, of: slot, to: 7)
    other.set(.outcome, of: slot, to: Record.Outcome.takenByAnother.rawValue)
    let episode = HandMade.episode(.outage, from: 1, to: 2)
    log.note(episode)
    #expect(log.isFull)
    #expect(other.begin(attempt) == nil)

    let read = try #require(other.history.attempts.first)
    #expect(read.key == 2)
    #expect(read.process == 99)
    #expect(read.task == 3)
    #expect(!read.waits)
    #expect(read.isOneOfTwo)
    #expect(read.fence == 5)
    #expect(read.releaseCalled == 6)
    #expect(read.invoked == attempt.invoked)
    #expect(read.outcome == .takenByAnother)
    #expect(other.history.episodes == [episode])
  }

  @Test func `A register refuses who comes too late, also to write what it has read`() throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "chaos-log-\(UUID().uuidString)").path(percentEncoded: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let log = try ChaosLog(creating: path, capacity: 1)
    #expect(log.read(register: 1, fence: 10) == 0)
    #expect(log.read(register: 1, fence: 11) == 0)
    #expect(!log.write(1, register: 1, fence: 10))
    #expect(log.write(1, register: 1, fence: 11))
    #expect(log.read(register: 1, fence: 10) == nil)
    #expect(log.history.registers[1] == 1)
  }
}
