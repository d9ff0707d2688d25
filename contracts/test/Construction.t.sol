// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

/// @dev The bounds of each setting, to the second. By a call of its own each, so that no refusal ends a test.
contract ConstructionTest is EscrowTest {
    function test_TheDelayOfReceiversIsAYearAtMost() public {
        assertEq(this.construct(admin, 365 days, LONGEST, PERMIT2).RECEIVER_DELAY(), 365 days);
        vm.expectRevert(IPreauthEscrow.InvalidSetting.selector);
        this.construct(admin, 365 days + 1, LONGEST, PERMIT2);
    }

    function test_AHoldLastsASecondAtLeast() public {
        assertEq(this.construct(admin, DELAY, 1, PERMIT2).MAX_HOLD(), 1);
        vm.expectRevert(IPreauthEscrow.InvalidSetting.selector);
        this.construct(admin, DELAY, 0, PERMIT2);
    }

    function test_Permit2HasCodeOrIsNone() public {
        assertEq(this.construct(admin, DELAY, LONGEST, address(0)).PERMIT2(), address(0));
        assertEq(this.construct(admin, DELAY, LONGEST, PERMIT2).PERMIT2(), PERMIT2);
        vm.expectRevert(IPreauthEscrow.InvalidSetting.selector);
        this.construct(admin, DELAY, LONGEST, stranger);
        vm.expectRevert(IPreauthEscrow.InvalidSetting.selector);
        this.construct(admin, DELAY, LONGEST, address(1));
    }

    function test_ThereIsAnAdmin() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        this.construct(address(0), DELAY, LONGEST, PERMIT2);
    }

    function construct(address admin_, uint40 delay, uint40 longest, address permit2) external returns (PreauthEscrow) {
        return new PreauthEscrow(admin_, guardian, new address[](0), delay, longest, permit2);
    }
}
