import Testing

@testable import AsyncRedisLock

@Suite("Probes for grants that were not told", .timeLimit(.minutes(2)))
struct GrantProbesTests {
  @Test("A message that comes before the answer to the probe was only overtaken")
  func overtaken() {
    var probes = GrantProbes()
    let isFirst = probes.add("a")
    #expect(isFirst)
    probes.remove("a")
    let outcome = probes.answered()
    #expect(outcome == .done)
    let needsProbe = probes.add("b")
    #expect(needsProbe, "the next grant needs a probe of its own")
  }

  @Test("A message that has not come by the answer to the probe is lost")
  func lost() {
    var probes = GrantProbes()
    let isFirst = probes.add("a")
    #expect(isFirst)
    let outcome = probes.answered()
    #expect(outcome == .lost)
  }

  @Test("A grant that is found while a probe is under way is judged by the next probe")
  func later() {
    var probes = GrantProbes()
    let isFirst = probes.add("a")
    #expect(isFirst)
    let needsProbe = probes.add("b")
    #expect(!needsProbe)
    probes.remove("a")
    let outcomes = [probes.answered(), probes.answered()]
    #expect(outcomes == [.probeAgain, .lost])
  }

  @Test("A message that may have been lost with an earlier connection need not come")
  func unowed() {
    var probes = GrantProbes()
    let isFirst = probes.add("a", isOwed: false)
    #expect(isFirst && probes.contains("a"))
    let outcome = probes.answered()
    #expect(outcome == .done && !probes.contains("a"))
  }
}
