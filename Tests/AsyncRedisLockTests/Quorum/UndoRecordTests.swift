import Testing

@testable import AsyncRedisLock

@Suite("The record of what is left to undo", .timeLimit(.minutes(2)))
struct UndoRecordTests {
  private let record = UndoRecord()

  @Test("An undo is over when it has been answered")
  func answered() {
    #expect(record.isOver(in: nil))
    let undo = record.begin()
    #expect(!record.isOver(in: "a") && !record.isOver(in: nil), "it may yet be sent")
    withExtendedLifetime(undo) {}
    do {
      let record = UndoRecord()
      _ = record.begin()
      #expect(record.isOver(in: "a"))
    }
  }

  @Test("What a broken connection may hold comes no more once the server's process has ended")
  func late() {
    record.noteLate(in: "a")
    #expect(record.mayComeLate(in: "a") && !record.mayComeLate(in: "b"))
    #expect(record.mayComeLate(in: nil))
    #expect(!record.isOver(in: "a") && record.isOver(in: "b"))
    #expect(!record.isOver(in: nil))
    record.noteLate(in: "b")
    #expect(!record.isOver(in: "a") && !record.isOver(in: "b") && record.isOver(in: "c"))
    record.noteLate(in: nil)
    #expect(!record.isOver(in: "c"), "the process is not known")
  }

  @Test("An undo that may come at any time is never over")
  func endless() {
    record.neverEnds()
    #expect(!record.isOver(in: "a"))
  }
}
