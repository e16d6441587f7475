import Testing

@testable import AsyncRedisLock

@Suite("A timetable")
struct TimetableTests {
  let start = ContinuousClock.now

  @Test("gives what is due in order, and keeps the rest")
  func order() {
    var table = Timetable<Int>()
    for delay in [5, 1, 4, 2, 3] { table.add(delay, due: start + .seconds(delay)) }
    #expect(table.nextDue == start + .seconds(1))
    #expect(table.removeDue(by: start + .seconds(3)).map(\.item) == [1, 2, 3])
    #expect(table.nextDue == start + .seconds(4))
    #expect(table.removeDue(by: start).isEmpty)
  }

  @Test("does not grow with what has ended")
  func cleansUp() {
    var table = Timetable<Int>()
    for round in 0..<100_000 {
      table.add(round, due: start + .seconds(60))
      table.noteEnd { $0 <= round }
    }
    #expect(Array(table.items).count < 3000)
  }

  @Test("keeps what has not ended when it cleans up")
  func keeps() {
    var table = Timetable<Int>()
    for item in 0..<5000 { table.add(item, due: start + .seconds(item)) }
    for _ in 0..<4000 { table.noteEnd { $0 % 5 != 0 } }
    let rest = table.removeDue(by: start + .seconds(5000)).map(\.item)
    #expect(rest.filter { $0 % 5 == 0 }.count == 1000)
  }
}
