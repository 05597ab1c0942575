// sim_source.cpp: a driver on the simulated machine of this process.
#include <cstdio>
#include <mutex>
#include <utility>

#include "protocol/control.h"
#include "sim/machine.h"
#include "source.h"

namespace drivermon {
namespace {

constexpr uint32_t kStatusEndOfFile = 0xC0000011;
constexpr uint32_t kStatusCancelled = 0xC0000120;

bool Succeeded(uint32_t status) {
    return static_cast<int32_t>(status) >= 0;
}

[[noreturn]] void Refused(const char* what, uint32_t status) {
    char text[96];
    snprintf(text, sizeof text, "The simulated driver refused %s with status 0x%08X", what, status);
    throw SourceError(status, text);
}

class SimReceiver final : public Receiver {
 public:
    explicit SimReceiver(sim::UserHandle& driver) : driver_(driver) {}

    Received Receive(std::span<std::byte> buffer) override {
        while (Begin(buffer)) {
            pending_->Wait(sim::kForever);
            uint32_t bytes = 0;
            const auto status = static_cast<uint32_t>(End(bytes));
            // A cancel may have come too late: then there are records, and they count.
            if (Succeeded(status) && bytes > 0) return {Receipt::kData, bytes};
            if (status == kStatusEndOfFile) return {Receipt::kEnd, 0};
            if (!Succeeded(status) && status != kStatusCancelled) Refused("to go on with its records", status);
            // 0 bytes: a record has come while the request waited. Ask again.
        }
        return {Receipt::kCancelled, 0};
    }

    void Cancel() override {
        std::lock_guard lock(mutex_);
        cancelled_ = true;
        if (pending_) pending_->Cancel();
    }

 private:
    bool Begin(std::span<std::byte> buffer) {
        std::lock_guard lock(mutex_);
        if (cancelled_) return false;
        pending_ =
            driver_.BeginControl(kControlGetData, nullptr, 0, buffer.data(), static_cast<uint32_t>(buffer.size()));
        return true;
    }

    sim::Status End(uint32_t& bytes) {
        std::lock_guard lock(mutex_);
        const sim::Status status = pending_->Result(&bytes);
        pending_.reset();
        return status;
    }

    sim::UserHandle& driver_;
    std::mutex mutex_;  // guards the two below; pending_ changes on the receiving thread only
    bool cancelled_ = false;
    std::unique_ptr<sim::UserHandle::Pending> pending_;
};

class SimSource final : public Source {
 public:
    SimSource() : machine_(sim::Machine::Boot()), driver_(OpenDriver(*machine_)) {}

    size_t Control(uint32_t code, std::span<const std::byte> input, std::span<std::byte> output) override {
        uint32_t returned = 0;
        const auto status =
            static_cast<uint32_t>(driver_->Control(code, input.data(), static_cast<uint32_t>(input.size()),
                                                   output.data(), static_cast<uint32_t>(output.size()), &returned));
        if (!Succeeded(status)) {
            char what[32];
            snprintf(what, sizeof what, "control code 0x%08X", code);
            Refused(what, status);
        }
        return returned;
    }

    std::vector<DriverListing> Drivers() override {
        std::vector<DriverListing> drivers;
        for (sim::DriverInfo& driver : machine_->Drivers()) {
            drivers.push_back({std::move(driver.name), std::move(driver.displayName)});
        }
        return drivers;
    }

    std::vector<ProcessListing> Processes() override {
        std::vector<ProcessListing> processes;
        for (sim::ProcessInfo& process : machine_->Processes()) {
            processes.push_back({process.processId, process.parentProcessId, std::move(process.name)});
        }
        return processes;
    }

    std::unique_ptr<Receiver> OpenReceiver() override { return std::make_unique<SimReceiver>(*driver_); }

    void StartTraffic(const TrafficOptions& options) override {
        machine_->StartTraffic({options.seed, static_cast<double>(options.rate), options.count});
    }
    void StopTraffic() override { machine_->StopTraffic(); }
    std::map<std::u16string, uint64_t> Issued() override { return machine_->Issued(); }
    bool TrafficRunning() override { return machine_->TrafficRunning(); }

 private:
    static std::unique_ptr<sim::UserHandle> OpenDriver(sim::Machine& machine) {
        sim::Status status = 0;
        std::unique_ptr<sim::UserHandle> handle = machine.Open(DRIVERMON_USER_PATH, &status);
        if (!handle) Refused("to be opened", static_cast<uint32_t>(status));
        return handle;
    }

    const std::unique_ptr<sim::Machine> machine_;
    const std::unique_ptr<sim::UserHandle> driver_;  // after the machine: it closes first
};

}  // namespace

std::unique_ptr<Source> OpenSimSource() {
    return std::make_unique<SimSource>();
}

}  // namespace drivermon
