// process_test.cpp: processes come and go: their names are in the stream, and the client's descendants are its own.
#include "sim/process.h"

#include <doctest/doctest.h>

#include "capture_session.h"
#include "scripted_driver.h"

namespace drivermon::test {
namespace {

// Unchecked images for the life of a test.
struct UncheckedImages {
    UncheckedImages() { sim::imagesAreChecked = false; }
    ~UncheckedImages() { sim::imagesAreChecked = true; }
};

}  // namespace

TEST_CASE("a process that comes and goes leaves its name; an id that is used again has another") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    sim::ExitProcess(sim::CreateProcess(u"before.exe", 4).get());
    REQUIRE(session.Start() == STATUS_SUCCESS);
    constexpr uint32_t kId = 7000;
    for (const std::u16string& name : {std::u16string(u"first.exe"), std::u16string(u"second.exe")}) {
        sim::ExitProcess(sim::CreateProcess(name, 4, kId).get());
    }
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    sim::ExitProcess(sim::CreateProcess(u"after.exe", 4).get());
    const auto processes = session.Finish().processes;
    REQUIRE(processes.size() == 4);
    const ProcessEvent events[] = {kProcessCreated, kProcessExited, kProcessCreated, kProcessExited};
    const std::u16string endings[] = {u"\\first.exe", u"", u"\\second.exe", u""};
    for (size_t i = 0; i < 4; i++) {
        CHECK(processes[i].record.event == events[i]);
        CHECK(processes[i].record.processId == kId);
        CHECK(processes[i].name.ends_with(endings[i]));
        CHECK(processes[i].name.empty() == endings[i].empty());
    }
    CHECK(processes[0].record.parentProcessId == 4);
    CHECK(processes[0].record.header.timestamp <= processes[1].record.header.timestamp);
}

TEST_CASE("a path that is too long keeps its end") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    sim::ExitProcess(sim::CreateProcess(std::u16string(3000, u'd') + u"\\end.exe", 4).get());
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const auto processes = session.Finish().processes;
    REQUIRE(processes.size() == 2);
    CHECK(processes[0].name.ends_with(u"d\\end.exe"));
    CHECK(processes[0].name.size() == 260);
}

TEST_CASE("where images are not checked there are no names, but still who is whose child") {
    UncheckedImages unchecked;
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    sim::ExitProcess(sim::CreateProcess(u"nameless.exe", 4, 7000).get());
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const auto processes = session.Finish().processes;
    REQUIRE(processes.size() == 2);
    CHECK(processes[0].record.event == kProcessCreated);
    CHECK(processes[0].record.parentProcessId == 4);
    CHECK(processes[0].name.empty());
    CHECK(processes[1].record.event == kProcessExited);
}

TEST_CASE("the client's descendants are left out as it is, and an id is forgotten with its process") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Watched");
    const uint32_t own = sim::CurrentThread()->process->id;
    auto before = sim::CreateProcess(u"before.exe", own);  // the client had not opened the device yet
    CaptureSession session(*machine);
    REQUIRE(session.SetPredicates({}) == STATUS_SUCCESS);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(driver.path(), &status);
    REQUIRE(handle);
    const auto send = [&](PEPROCESS process) {
        sim::RunAs as(process, 0);
        CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
    };
    constexpr uint32_t kId = 8000;
    auto child = sim::CreateProcess(u"child.exe", own, kId);
    auto grandchild = sim::CreateProcess(u"grandchild.exe", kId);
    auto stranger = sim::CreateProcess(u"stranger.exe", 4);
    for (PEPROCESS process : {child.get(), grandchild.get(), stranger.get(), before.get()}) send(process);
    sim::ExitProcess(child.get());
    send(grandchild.get());
    auto reused = sim::CreateProcess(u"reused.exe", 4, kId);
    send(reused.get());
    auto strangersChild = sim::CreateProcess(u"unrelated.exe", kId);
    send(strangersChild.get());
    handle.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Counters().Sum(&FunctionCounters::arrivals) == 7 + 3);
    const Captured captured = session.Finish();
    std::vector<uint32_t> recorded;
    for (const Request& request : captured.WithCode(kCode)) recorded.push_back(request.start->processId);
    CHECK(recorded == std::vector<uint32_t>{stranger->id, before->id, kId, strangersChild->id});
    for (auto* process : {&before, &grandchild, &stranger, &reused, &strangersChild}) sim::ExitProcess(process->get());
}

}  // namespace drivermon::test
