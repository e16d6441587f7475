#if CommandLineTool
  import Testing

  @testable import RedisLockTool

  @Suite("The plan for a loss", .timeLimit(.minutes(2)))
  struct LossPlanTests {
    let start = ContinuousClock.now

    @Test("The plan for a loss gives the command its grace, and kills it before the end")
    func grace() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      #expect(
        plan.next(remaining: .seconds(29), isGone: false, at: start) == .wait(.milliseconds(250)))
      #expect(
        plan.next(remaining: .milliseconds(5100), isGone: false, at: start)
          == .wait(.milliseconds(100)))
      #expect(
        plan.next(remaining: .seconds(5), isGone: false, at: start)
          == .terminate(.milliseconds(250)))
      #expect(
        plan.next(remaining: .milliseconds(150), isGone: false, at: start)
          == .wait(.milliseconds(50)))
      let later = start + .milliseconds(100)
      #expect(plan.next(remaining: .milliseconds(100), isGone: false, at: later) == .kill)
      #expect(plan.next(remaining: .zero, isGone: false, at: later) == .kill)
    }

    @Test("The plan leaves half of what is left after a late extension for further attempts")
    func shortTTL() {
      var plan = LossPlan(ttl: .seconds(3), extend: .seconds(1), grace: .seconds(5))
      #expect(plan.margin == .seconds(1))
      #expect(
        plan.next(remaining: .milliseconds(1001), isGone: false, at: start)
          == .wait(.milliseconds(1)))
      #expect(
        plan.next(remaining: .seconds(1), isGone: false, at: start)
          == .terminate(.milliseconds(250)))
    }

    @Test("A command is asked to end, and killed a moment later, when the lock is another's")
    func gone() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      #expect(
        plan.next(remaining: .seconds(29), isGone: true, at: start)
          == .terminate(.milliseconds(100)))
      #expect(
        plan.next(remaining: .zero, isGone: true, at: start + .milliseconds(99))
          == .wait(.milliseconds(1)))
      #expect(plan.next(remaining: .zero, isGone: true, at: start + .milliseconds(100)) == .kill)
    }

    @Test("A command that is being ended is killed sooner when the lock turns out to be another's")
    func goneMeanwhile() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      _ = plan.next(remaining: .seconds(5), isGone: false, at: start)
      #expect(
        plan.next(remaining: .zero, isGone: true, at: start + .milliseconds(200)) == .kill)
    }

    @Test("A command whose lock ended while nothing looked is asked to end before it is killed")
    func slept() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      #expect(
        plan.next(remaining: .zero, isGone: false, at: start) == .terminate(.milliseconds(100)))
      #expect(plan.next(remaining: .zero, isGone: false, at: start + .milliseconds(100)) == .kill)
    }

    @Test("The plan for a loss is gone through with when the lock is extended after all")
    func tooLate() {
      var plan = LossPlan(ttl: .seconds(30), extend: .seconds(10), grace: .seconds(5))
      _ = plan.next(remaining: .seconds(4), isGone: false, at: start)
      let later = start + .milliseconds(4800)
      #expect(
        plan.next(remaining: .seconds(29), isGone: false, at: later) == .wait(.milliseconds(100)))
      #expect(
        plan.next(remaining: .seconds(29), isGone: false, at: start + .milliseconds(4900)) == .kill)
    }
  }
#endif
