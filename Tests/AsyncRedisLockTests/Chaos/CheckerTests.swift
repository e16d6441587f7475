import ChaosLog
import Testing

/// Shows that the check of the chaos soak finds every violation, and reports nothing else.
@Suite(.timeLimit(.minutes(5))) struct CheckerTests {
  private let first = HandMade.holding(1, from: 100, to: 200)
  private let second = HandMade.holding(2, from: 201, to: 300)

  @Test func `A clean history passes`() {
    let other = HandMade.holding(3, from: 150, to: 250, key: 1)
    #expect(HandMade.findings([second, first, other]) == [])
  }

  // MARK: Overlaps

  @Test func `Two holders at once are found`() {
    let early = HandMade.holding(2, from: 199, to: 300)
    #expect(HandMade.findings([first, early]) == [.overlap])
  }

  @Test func `A lease that was never released counts to its end`() {
    var silent = first
    silent.releaseCalled = 0
    silent.released = 0
    let kill = HandMade.episode(.kill, from: 210, to: 210, process: 7)
    #expect(HandMade.findings([silent, second], [kill]) == [.overlap])
    let patient = HandMade.holding(2, invoked: 1500, from: 1601, to: 1700, process: 8)
    #expect(HandMade.findings([silent, patient], [kill]) == [])
  }

  @Test func `A holder among several is found by the longest of them`() {
    let long = HandMade.holding(1, from: 100, to: 1000)
    let third = HandMade.holding(3, from: 400, to: 500)
    #expect(HandMade.findings([long, second, third]) == [.overlap, .overlap])
  }

  @Test func `After the server forgot, two may hold until the next extension`() {
    let forgetting = HandMade.episode(.forgetting, from: 150, to: 151)
    let brief = HandMade.holding(1, from: 100, to: 1200)
    let long = HandMade.holding(1, from: 100, to: 1302)
    let next = HandMade.holding(2, invoked: 160, from: 200, to: 1500)
    #expect(HandMade.findings([brief, next], [forgetting]) == [])
    #expect(HandMade.findings([long, next], [forgetting]) == [.overlap])
    #expect(HandMade.findings([brief, next]) == [.overlap])
    let stall = HandMade.episode(.stall, from: 500, to: 700, process: 7)
    #expect(HandMade.findings([long, next], [forgetting, stall]) == [])
  }

  @Test func `Forgetting long ago excuses nothing`() {
    let forgetting = HandMade.episode(.forgetting, from: 1, to: 2)
    let late = HandMade.holding(1, invoked: 9000, from: 9100, to: 9200)
    let next = HandMade.holding(2, invoked: 9000, from: 9150, to: 9250)
    #expect(HandMade.findings([late, next], [forgetting]) == [.overlap])
  }

  // MARK: Fences

  @Test func `A number that falls is found`() {
    #expect(HandMade.findings([HandMade.holding(3, from: 100, to: 200), second]) == [.fence])
  }

  @Test func `A number that was given out twice is found`() {
    #expect(HandMade.findings([HandMade.holding(2, from: 100, to: 200), second]) == [.fence])
  }

  @Test func `A number that fell long after the server forgot is found`() {
    let forgetting = HandMade.episode(.forgetting, from: 9000, to: 9001)
    let high = HandMade.holding(3, from: 100, to: 200)
    let low = HandMade.holding(2, invoked: 9100, from: 9200, to: 9300)
    #expect(HandMade.findings([high, low], [forgetting]) == [.fence])
  }

  @Test func `A reply may come after what the server forgot`() {
    let forgetting = HandMade.episode(.forgetting, from: 150, to: 151)
    let fresh = HandMade.holding(2, invoked: 152, from: 160, to: 170)
    let late = HandMade.holding(1, from: 180, to: 190)
    #expect(HandMade.findings([fresh, late], [forgetting]) == [])
    #expect(HandMade.findings([fresh, late]) == [.fence])
  }

  // MARK: Losses

  @Test func `A lock that was gone before its time is found`() {
    var gone = first
    gone.outcome = .expired
    #expect(HandMade.findings([gone, second]) == [.loss])
    gone.released = gone.validUntil + 1
    #expect(HandMade.findings([gone]) == [.late])
    var taken = first
    taken.loss = .takenAway
    taken.lost = .milliseconds(150)
    #expect(HandMade.findings([taken, second]) == [.loss])
    let forgetting = HandMade.episode(.forgetting, from: 150, to: 151)
    #expect(HandMade.findings([taken, second], [forgetting]) == [])
  }
}
