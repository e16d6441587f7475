import Testing

@testable import AsyncRedisLock

@Suite("A timetable", .timeLimit(.minutes(2)))
struct DeadlineHeapTests {
  let start = Instant.now

  func time(_ seconds: Int) -> Instant { start + .seconds(seconds) }

  @Test("A timetable returns due entries in order, and keeps the rest")
  func order() {
    var table = DeadlineHeap<Int>()
    for delay in [5, 1, 4, 2, 3] { table.add(delay, due: time(delay)) }
    #expect(table.nextDue == time(1))
    #expect(table.removeDue(by: time(3)).map(\.item) == [1, 2, 3])
    #expect(table.nextDue == time(4))
    #expect(table.removeDue(by: time(0)).isEmpty)
  }

  @Test("A timetable does not grow with ended entries")
  func cleansUp() {
    var table = DeadlineHeap<Int>()
    for round in 0..<100_000 {
      table.add(round, due: time(60))
      table.noteEnd { $0 <= round }
    }
    #expect(Array(table.items).count < 3000)
  }

  @Test("A timetable keeps live entries when it cleans up")
  func keeps() {
    var table = DeadlineHeap<Int>()
    for item in 0..<5000 { table.add(item, due: time(item)) }
    for _ in 0..<4000 { table.noteEnd { $0 % 5 != 0 } }
    let rest = table.removeDue(by: time(5000)).map(\.item)
    #expect(rest.filter { $0 % 5 == 0 }.count == 1000)
  }
}
